"""Memberships whose time is over: ended, or going on as rollout memberships; one that fails holds up no other."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from worker import journal, metrics
from worker.apply import STRUCTURE_LOCK
from worker.database import Record, Session
from worker.errors import Refused
from worker.jobs.job import ChunkSize, Job
from worker.logs import logger

log = logger(__name__)

ROWS_MIN, ROWS_MAX = 500, 10_000
HELD_SECONDS = 300
"""After this time an expiry that the database refused is tried again."""


BEGINNING = datetime(1, 1, 1, tzinfo=UTC)
"""A run goes on behind what it has ended: PostgreSQL would look through all that is dead before it."""


class Expiry(Job):
    """Ends what is due, longest due first."""

    name = "expiry"
    every_seconds = 0.5
    journals = True

    def __init__(self, clock: journal.Clock) -> None:
        super().__init__(clock)
        self._size = ChunkSize(ROWS_MIN, ROWS_MAX)
        self._since = BEGINNING

    async def turn(self, session: Session) -> int | None:
        """The next memberships that are due; from the first one again before there is nothing to do."""
        if self._since > BEGINNING:
            changed = await self._turn(session)
            if changed is not None:
                return changed
            self._since = BEGINNING
        return await self._turn(session)

    async def _turn(self, session: Session) -> int | None:
        began = time.monotonic()
        rows = self._size.rows
        while True:
            try:
                row = await self._end(session, rows)
            except Refused as error:
                self._since = BEGINNING
                if rows == 1:
                    await self._hold(session, error)
                    return 0
                rows = max(1, rows // 2)  # corner the one that is refused
                continue
            break
        if not row["due"]:
            return None
        if row["due"] == self._size.rows:
            self._size.took(time.monotonic() - began)
        self._since = row["expires_at"]
        metrics.EXPIRED_MEMBERSHIPS.inc(row["changed"])
        return int(row["changed"])

    async def _end(self, session: Session, rows: int) -> Record:
        async with session.transaction():
            await session.fetch("lock_shared", STRUCTURE_LOCK)
            return await session.row("expiry_chunk", self._clock(), rows, self._since)

    async def _hold(self, session: Session, error: Refused) -> None:
        now = self._clock()
        until = now + timedelta(seconds=HELD_SECONDS)
        for row in await session.fetch("expiry_hold", now, str(error), until):
            log.error("a membership can't be expired", user=row["user_id"], segment=row["segment"], error=str(error))
        metrics.EXPIRY_HELD.inc()
