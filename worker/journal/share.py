"""What goes into the relay's next Kafka transaction: events, the states of their users, and the cursor after them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import NamedTuple

from schemas.state import SPEC as STATE
from schemas.topics import topic_name
from worker.errors import Unavailable
from worker.journal import cursor
from worker.journal.cursor import Cursor, fingerprint
from worker.journal.encode import TOPICS, Encoder, Event
from worker.journal.mistaken import as_many
from worker.journal.pace import Pace
from worker.journal.snapshot import Leading, Snapshot
from worker.journal.state import StateRecord, States
from worker.postgres.clock import Clock, told
from worker.postgres.session import Record, Session
from worker.postgres.trust import local_time
from worker.settings import Settings

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Share(NamedTuple):
    """What one transaction writes."""

    events: Sequence[Event]
    states: Sequence[StateRecord]
    cursor: Cursor

    @property
    def records(self) -> list[Event | StateRecord]:
        """All of it but the cursor."""
        return [*self.events, *self.states]


def topics_of(settings: Settings) -> set[str]:
    """The topics that the relay writes to, but for its positions."""
    of_states = {STATE.topic} if settings.state_topic == "on" else set()
    return {topic_name(settings.topic_prefix, topic) for topic in TOPICS | of_states}


class Shares:
    """Reads the journal on over the relay's session, in pieces as large as the pace says."""

    def __init__(
        self,
        session: Session,
        settings: Settings,
        pace: Pace,
        clock: Clock,
        journal_id: str,
        partitions: Mapping[str, int],
        leading: Leading,
    ) -> None:
        self._session, self._pace, self._clock = session, pace, clock
        self._encoder = Encoder(session, settings, journal_id)
        self._states: States | None = None
        self._snapshot: Snapshot | None = None
        if settings.state_topic == "on":
            self._states = States(session, settings, self._encoder.names, journal_id)
            self._snapshot = Snapshot(session, settings, self._states, partitions[self._states.topic], leading)
        self._since = EPOCH

    async def after(self, position: Cursor, *, is_stopping: bool) -> Share | None:
        """What comes after the cursor; None where nothing waits. While the relay stops no snapshot goes on."""
        rows = await self._read(position.sequence)
        goes_on = self._snapshot is not None and not is_stopping and await self._snapshot.is_wanted(position.place)
        if not rows and not goes_on:
            return None
        now = min(await told(self._session, self._clock), local_time())
        share = Share([], [], position)
        if rows:
            await _require_no_gap(self._session, position.sequence, rows)
            share = await as_many(rows, lambda some: self._of_rows(some, position, now))
        chunk = await self._snapshot.after(position.place, now) if self._snapshot and goes_on else None
        if chunk is None:
            return share if rows else None
        return Share(share.events, [*share.states, *chunk.records], share.cursor._replace(place=chunk.place))

    async def is_waiting(self, position: Cursor) -> bool:
        """Whether there is something after the cursor by now."""
        if (await self._session.row("journal_head"))["sequence"] > position.sequence:
            return True
        return self._snapshot is not None and await self._snapshot.is_wanted(position.place)

    async def close(self) -> None:
        """Leave Kafka."""
        if self._snapshot:
            await self._snapshot.close()

    async def _read(self, sequence: int) -> Sequence[Record]:
        rows_max = min(self._pace.rows, self._states.rows_max) if self._states else self._pace.rows
        return await self._session.fetch("journal_read", sequence, self._since, rows_max, self._pace.bytes)

    async def _of_rows(self, rows: Sequence[Record], position: Cursor, now: datetime) -> Share:
        states: Sequence[StateRecord] = ()
        if self._states:
            rows, states = await self._beside(self._states, rows, now)
        events = await self._encoder.encode(rows, now)
        self._since = rows[-1]["time"]
        place = position.place if self._states else None
        return Share(events, states, Cursor(rows[-1]["sequence"], fingerprint(rows[-1]), place))

    async def _beside(
        self, states: States, rows: Sequence[Record], now: datetime
    ) -> tuple[Sequence[Record], Sequence[StateRecord]]:
        """The states of the rows' users, and so many of the rows as fit beside them."""
        try:
            return await states.beside(rows, self._pace.bytes, now)
        except Unavailable:
            self._pace.failed()  # perhaps they were too many for one statement
            raise


async def _require_no_gap(session: Session, sequence: int, rows: Sequence[Record]) -> None:
    """The rows must follow the one before them, and each other; raises RelayHalted."""
    if rows[0]["sequence"] != sequence + 1:
        raise await cursor.gap(session, sequence, rows[0]["sequence"])
    if rows[-1]["sequence"] != sequence + len(rows):
        before, after = next(
            (one["sequence"], two["sequence"]) for one, two in pairwise(rows) if two["sequence"] != one["sequence"] + 1
        )
        raise await cursor.gap(session, before, after)
