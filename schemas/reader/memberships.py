"""`Memberships`: which segments a user is in, looked up in a store on this machine that is read from Kafka."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

from schemas.reader.errors import ReaderError, StoreError, UnreadableRecordError
from schemas.reader.fold import BY_EVENT, Fold
from schemas.reader.packed import FOREVER, active_in, instant, is_active_in, unpack
from schemas.reader.reading import NOWHERE, Reading, require_fresh, require_topics, seeks
from schemas.reader.records import End, Partition, Taken, taken
from schemas.reader.said import EVENTS_TOPIC, Changed, Forgotten, Said, State, Unconcerned, said
from schemas.reader.store import Store
from schemas.reader.waiting import Asking, Ends, Passage

P = TypeVar("P", bound=Partition)

DELETE_RETENTION_SECONDS = 86_400
"""How long Kafka keeps tombstones unless the topic says otherwise."""
STALL_SECONDS_MAX = 60
REACHED_SECONDS_MAX = 10
MARK_SECONDS = 60
"""How often it is noted that the topics are read on, where they bring nothing."""

log = logging.getLogger(__name__)


class Membership(NamedTuple):
    """A segment that the user is in. `origin` is None where events alone have told of it."""

    segment: str
    segment_id: str
    origin: str | None
    since: datetime
    expires_at: datetime | None


class Memberships:
    """Lookups are for any thread, and work at once on what was read before; `take`, `ready` and `reached` are for one
    event loop. It owns no Kafka client: records are handed over, and applied with their positions or not at all.
    """

    def __init__(self, store: Store, *, skip_unreadable: bool, clock: Callable[[], float]) -> None:
        self.skipped = 0
        """Records that were left out since it was opened; with `skip_unreadable` alone."""
        self._store, self._skip_unreadable, self._clock = store, skip_unreadable, clock
        self._passage = Passage()
        self._asking: Asking | None = None
        self._partitions: frozenset[Partition] = frozenset()
        self._first_offsets: dict[Partition, int] = {}
        self._reached = 0
        self._writing = threading.Lock()
        self._thread = ThreadPoolExecutor(1, "memberships")

    @classmethod
    def open(
        cls,
        folder: str | os.PathLike[str],
        *,
        rebuild: bool = False,
        skip_unreadable: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> Self:
        """Open the store in the folder, which this process must have for itself; make it where there is none.

        With `rebuild`, what the folder holds of a store is deleted first. Raises StoreError, StoreFormatError.
        """
        return cls(Store(Path(folder), rebuild=rebuild), skip_unreadable=skip_unreadable, clock=clock)

    # --- looking up ------------------------------------------------------------------------------------------------

    def segments_of(self, user_id: str) -> frozenset[str]:
        """The names of the segments that the user is in now; none for one who is not known."""
        row = self._store.user(user_id)
        if row is None:
            return frozenset()
        segments = self._store.names.segments
        return frozenset([segments[key].segment for key in active_in(row[1], self._now())])

    def is_in(self, user_id: str, segment: str) -> bool:
        """Whether the user is in the segment now."""
        keys = self._store.names.named(segment)
        row = self._store.user(user_id) if keys else None
        if row is None:
            return False
        now = self._now()
        return any(is_active_in(row[1], key, now) for key in keys)

    def details_of(self, user_id: str) -> list[Membership]:
        """As `segments_of`, with all that is known of each, in the order of the names."""
        row, now, names = self._store.user(user_id), self._now(), self._store.names
        return sorted(
            Membership(
                *names.segments[item.segment],
                names.origins[item.origin],
                instant(item.since),
                None if item.expires == FOREVER else instant(item.expires),
            )
            for item in unpack(row[1] if row else b"")
            if now < item.expires
        )

    def sequence_of(self, user_id: str) -> int | None:
        """Up to which number of the journal this user's memberships hold; None for one who is not known."""
        row = self._store.user(user_id)
        return None if row is None else row[0]

    # --- reading ---------------------------------------------------------------------------------------------------

    async def begin(
        self,
        beginnings: Mapping[P, int],
        ends: Ends,
        *,
        delete_retention_seconds: float = DELETE_RETENTION_SECONDS,
        timeout_seconds: float = STALL_SECONDS_MAX,
    ) -> dict[P, int]:
        """Say where the partitions begin and how to ask where they end; returns where to seek to in each.

        `ends` must ask as a client does that reads uncommitted records, or `reached` may return too early. It may be
        called again, after a failure of the client. Raises TopicChangedError and OutdatedError where the store must be
        read anew.
        """
        self._require_open()
        asking = Asking(ends)
        found = await asking.ends(timeout_seconds)
        if unnamed := set(beginnings) - set(found):
            raise ReaderError(f"`ends` does not say where partition {min(unnamed)[1]} of {min(unnamed)[0]} ends")
        with self._writing:
            places = self._store.places
            require_topics(beginnings, places)
            require_fresh(self._store.read_at / 1_000_000, self._clock(), delete_retention_seconds)
            sought = seeks(beginnings, found, places)
            self._partitions = frozenset(beginnings)
            self._first_offsets = {}
            self._passage.restart(
                {at: places[at].next_offset if at in places else offset for at, offset in sought.items()}
            )
        self._asking = asking
        return sought

    async def take(
        self,
        records: Iterable[Any] | Mapping[Any, Iterable[Any]],
        positions: Mapping[Partition, int] | None = None,
    ) -> None:
        """`apply` in a thread. If it is cancelled, what was begun is ended first."""
        self._require_open()
        working = asyncio.get_running_loop().run_in_executor(self._thread, self.apply, records, positions)
        try:
            await asyncio.shield(working)
        except asyncio.CancelledError:
            await asyncio.wait([working])
            raise

    def apply(
        self,
        records: Iterable[Any] | Mapping[Any, Iterable[Any]],
        positions: Mapping[Partition, int] | None = None,
    ) -> None:
        """Apply what a poll has brought, in one transaction; call it for each poll, also for one that brought nothing.

        `positions` are the consumer's own, asked for after that poll: markers and what compaction has removed are no
        records, so without them, or confluent-kafka's end-of-partition messages, nobody knows that the end is reached.
        """
        with self._writing:
            self._require_open()
            if not self._partitions:
                raise ReaderError("Call `begin` before records are handed over")
            reading = Reading(self._partitions, self._store.places)
            fold = Fold(self._store.stored)
            ends: dict[Partition, int] = {}
            try:
                self._read(records, reading, fold, ends)
            finally:
                self._write(reading, fold)
            self._passage.move([*ends.items(), *(positions or {}).items()])

    def rebuild(self) -> None:
        """Forget all that was read; `begin` then starts anew."""
        with self._writing:
            self._store.empty()
            self._partitions, self._asking, self._reached = frozenset(), None, 0

    # --- waiting ---------------------------------------------------------------------------------------------------

    async def ready(self, *, stall_seconds: float = STALL_SECONDS_MAX) -> None:
        """Wait until all is in that the topics held when this was called.

        Takes as long as it takes, but raises StalledError when nothing has moved for `stall_seconds`.
        """
        ends = await self._asked().ends(stall_seconds)
        await self._passage.wait(ends, seconds=stall_seconds, stall_only=True)

    async def reached(self, sequence: int, *, timeout_seconds: float = REACHED_SECONDS_MAX) -> None:
        """Wait until all is in that was published up to this sequence, in every partition.

        The sequence is one that somebody has read from Kafka, such as an event's: then it is published, and everything
        before it, too, so it is in once each partition was read to where it ends now. Raises StalledError in the end.
        """
        if sequence <= self._reached:
            return
        began = time.monotonic()
        ends = await self._asked().ends(timeout_seconds)
        left = timeout_seconds - (time.monotonic() - began)
        await self._passage.wait(ends, seconds=left, stall_only=False)
        self._reached = max(self._reached, sequence)

    # --- ending ----------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """End what is begun, and let others open the folder."""
        self._passage.close()
        self._thread.shutdown()
        with self._writing:
            self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ---------------------------------------------------------------------------------------------------------------

    def _now(self) -> int:
        return int(self._clock() * 1_000_000)

    def _asked(self) -> Asking:
        self._require_open()
        if self._asking is None:
            raise ReaderError("Call `begin` before waiting for what it reads")
        return self._asking

    def _require_open(self) -> None:
        if self._passage.is_closed:
            raise StoreError(f"The store in {self._store.folder} is closed")

    def _read(
        self,
        records: Iterable[Any] | Mapping[Any, Iterable[Any]],
        reading: Reading,
        fold: Fold,
        ends: dict[Partition, int],
    ) -> None:
        for record in taken(records):
            if isinstance(record, End):
                ends[record.partition] = record.offset
            elif reading.is_new(record, self._first_offsets.get(record.partition)):
                told = self._said(record)
                reading.passed(record, told.sequence)
                match told:
                    case State():
                        fold.state(told, record.partition[1])
                    case Changed():
                        fold.changed(told)
                    case Forgotten():
                        fold.forgotten(told, _teller(record))

    def _said(self, record: Taken) -> Said:
        try:
            told = said(record, self._store.names)
        except UnreadableRecordError as error:
            if not self._skip_unreadable:
                raise
            self.skipped += 1
            log.warning("%s", error)
            return Unconcerned(None)
        if isinstance(told, State | Changed) and told.omitted:
            log.warning("%s, partition %d, offset %d does not name all segments", *record.partition, record.offset)
        return told

    def _write(self, reading: Reading, fold: Fold) -> None:
        now, places = self._now(), reading.marked()
        if not places and now < self._store.read_at + MARK_SECONDS * 1_000_000:
            return
        before = self._store.places
        first_offsets = {at: before.get(at, NOWHERE).next_offset for at in places}
        self._store.write(fold, places, now)
        self._first_offsets.update(first_offsets)
        self._passage.move((at, place.next_offset) for at, place in places.items())


def _teller(record: Taken) -> int:
    return BY_EVENT if record.partition[0].endswith(EVENTS_TOPIC) else record.partition[1]
