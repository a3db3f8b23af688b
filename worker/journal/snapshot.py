"""Writes the states of all users who are in a segment, chunk by chunk between the relay's other work.

How far it is stands in the cursor, and so in the Kafka transaction with what it has written: the next relay goes on
there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from worker.errors import Refused
from worker.journal.cursor import Place
from worker.journal.earlier import Earlier
from worker.journal.state import StateRecord, States
from worker.kafka.clients import KafkaError
from worker.observability import metrics
from worker.observability.logs import logger
from worker.observability.mistakes import contained
from worker.postgres.session import DriverError, Session
from worker.settings import Settings

log = logger(__name__)

USERS_MAX = 1_000
BYTES_MAX = 1024 * 1024
"""Of one chunk: events that were journaled meanwhile wait for no more than that."""
LOOK_SECONDS = 0.5
"""How often it is looked whether somebody has asked for a snapshot, and told how far one is, s."""
FORESEEN = (DriverError, KafkaError, OSError, AssertionError)
"""What servers and their clients raise."""
MISTAKE_SECONDS = 60.0
"""So long a snapshot rests that can't go on by a mistake of the worker, s; events are published meanwhile."""


Told = dict[str, bool] | None
Leading = Callable[[Coroutine[Any, Any, Told]], Coroutine[Any, Any, Told]]
"""Does work outside of the leader's session, as `Elected.leading`."""


class Chunk(NamedTuple):
    """What the snapshot writes next, and its place after that."""

    records: Sequence[StateRecord]
    place: Place


class Snapshot:
    """The one that is under way, if there is one. What it is told as its place was committed."""

    def __init__(self, session: Session, settings: Settings, states: States, partitions: int, leading: Leading) -> None:
        self._session, self._states, self._leading = session, states, leading
        self._earlier = Earlier(settings, states.topic, partitions)
        self._users_max = USERS_MAX
        self._look_at = 0.0
        self._rests_until = 0.0
        self._newest: int | None = None

    async def after(self, place: Place | None, now: datetime) -> Chunk | None:
        """The next chunk; None where no snapshot is under way, or where it can't go on by a mistake of the worker."""
        try:
            with contained("a snapshot of all states can't go on", *FORESEEN):
                return await self._next(place, now)
        except Refused as error:
            log.error("a snapshot of all states rests", error=str(error), seconds=MISTAKE_SECONDS)
            self._rests_until = time.monotonic() + MISTAKE_SECONDS
            await self._earlier.close()  # to read again what was read and not written
            return None

    async def _next(self, place: Place | None, now: datetime) -> Chunk | None:
        begins = await self._begins(place)
        if begins is not None:
            await self._earlier.close()
            log.info("a snapshot of all states begins", snapshot=begins.snapshot)
            return Chunk([], begins)
        if place is None or place.stage == "done":
            return None
        return await (self._of_earlier(place, now) if place.stage == "earlier" else self._of_users(place, now))

    async def is_wanted(self, place: Place | None) -> bool:
        """Whether there is something to do for it now."""
        if time.monotonic() < self._rests_until:
            return False
        if place is None or place.stage != "done":
            return True
        await self._look(place)
        return self._newest not in (None, place.snapshot)

    async def close(self) -> None:
        """Leave Kafka."""
        metrics.SNAPSHOT_USERS.set(0)
        await self._earlier.close()

    async def _begins(self, place: Place | None) -> Place | None:
        """The place of a snapshot that is to begin now: nothing is known of the topic, or somebody has asked for it."""
        if place is None:
            return next((Place(row["snapshot"]) for row in await self._session.fetch("snapshot_open")), None)
        await self._look(place)
        return None if self._newest in (None, place.snapshot) else Place(self._newest)

    async def _look(self, place: Place) -> None:
        if time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + LOOK_SECONDS
        is_done = place.stage == "done"
        metrics.SNAPSHOT_USERS.set(0 if is_done else place.users)
        self._newest = (await self._session.row("snapshot_mark", place.snapshot, place.users, is_done))["newest"]

    async def _of_earlier(self, place: Place, now: datetime) -> Chunk:
        """The states of users whom the topic has in a segment, and who are in none, and of those who were forgotten."""
        head = (await self._session.row("journal_head"))["sequence"]
        told = await self._leading(self._earlier.users(head))
        if told is None:
            return Chunk([], place._replace(stage="users"))
        rows = await self._session.fetch("states_left", [*told], [*told.values()]) if told else []
        left = [row["user_id"] for row in rows]
        records: list[StateRecord] = []
        while len(records) < len(left):
            records += await self._states.read(left[len(records) :], BYTES_MAX, now)
        return Chunk(records, place._replace(users=place.users + len(records)))

    async def _of_users(self, place: Place, now: datetime) -> Chunk:
        page = await self._session.fetch("snapshot_users", place.after, self._users_max)
        if not page:
            log.info("a snapshot of all states is written", snapshot=place.snapshot, users=place.users)
            self._look_at = 0.0
            return Chunk([], place._replace(stage="done"))
        known = [row for row in page if row["user_id"] is not None]
        records = await self._states.read([row["user_id"] for row in known], BYTES_MAX, now)
        is_whole = len(records) == len(known)
        self._users_max = min(2 * max(1, len(records)), USERS_MAX)
        after = (page[-1] if is_whole else known[len(records) - 1])["user_key"]
        return Chunk(records, place._replace(after=after, users=place.users + len(records)))
