"""Ends memberships whose time is over, or lets them go on by their percent; one that fails does not stop the others."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from worker.errors import Refused
from worker.jobs.job import ChunkSize, Job
from worker.observability import metrics
from worker.observability.logs import logger
from worker.postgres import locks
from worker.postgres.clock import Clock
from worker.postgres.session import Record, Session

log = logger(__name__)

ROWS_MIN, ROWS_MAX = 500, 20_000
HELD_SECONDS, HELD_SECONDS_MAX = 300, 3_600
"""After this time an expiry that the database refused is tried again; doubled each time, up to the second."""
BEGINNING = datetime(1, 1, 1, tzinfo=UTC)
"""A run goes on behind what it has ended: PostgreSQL would look through all that is dead before it."""
AGAIN = timedelta(seconds=0.5)
"""What a command had in hand, or what came late, is looked for again so soon, though more falls due all the time."""


class Expiry(Job):
    """Ends what is due, longest due first."""

    name = "expiry"
    every_seconds = 0.5
    journals = True

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._size = ChunkSize(ROWS_MIN, ROWS_MAX)
        self._since = self._begun_at = self._now = BEGINNING

    async def turn(self, session: Session) -> int | None:
        """The next memberships that are due; from the first one again before there is nothing to do."""
        if self._since > BEGINNING:
            changed = await self._turn(session)
            if changed is not None:
                return changed
            self._since = BEGINNING
        return await self._turn(session)

    async def _turn(self, session: Session) -> int | None:
        began, rows, is_first = time.monotonic(), self._size.rows, self._since == BEGINNING
        try:
            row = await self._end(session, rows)
        except Refused:
            self._since = BEGINNING
            return await self._corner(session, rows)
        if is_first:
            self._begun_at = self._now
        if not row["due"]:
            return None
        self._since = row["expires_at"]
        if row["due"] == rows:
            self._size.took(time.monotonic() - began)
        elif self._now - self._begun_at >= AGAIN:
            self._since = BEGINNING
        metrics.EXPIRED_MEMBERSHIPS.inc(row["changed"])
        return int(row["changed"])

    async def _corner(self, session: Session, rows: int) -> int:
        """One of these rows is refused: end those before it; if it is the first, hold it back."""
        while rows > 1:
            rows //= 2
            try:
                row = await self._end(session, rows)
            except Refused:
                continue
            metrics.EXPIRED_MEMBERSHIPS.inc(row["changed"])
            return int(row["changed"])
        for first in await session.fetch("expiry_first", self._now):
            place = first["user_key"], first["segment_key"]
            try:
                return int((await self._end(session, 1, *place))["changed"])
            except Refused as error:
                await self._hold(session, place, error)
        return 0

    async def _end(
        self, session: Session, rows: int, user_key: int | None = None, segment_key: int | None = None
    ) -> Record:
        async with session.transaction():
            self._now = await locks.structure(session, self._clock)
            row = await session.row("expiry_chunk", self._now, rows, self._since, user_key, segment_key)
            if row["changed"] < row["due"]:  # a trigger can do that; the journal must not tell of what has not happened
                raise Refused(f"the database kept {row['due'] - row['changed']} memberships that were to be ended")
            return row

    async def _hold(self, session: Session, place: tuple[int, int], error: Refused) -> None:
        limits = HELD_SECONDS, HELD_SECONDS_MAX
        for row in await session.fetch("expiry_hold", *place, str(error), self._now, *limits):
            log.error("a membership can't be expired", user=row["user_id"], segment=row["segment"], error=str(error))
        metrics.EXPIRY_HELD.inc()
