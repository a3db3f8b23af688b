"""Memberships whose time is over: ended, or going on as rollout memberships; one that fails holds up no other."""

from __future__ import annotations

import time
from datetime import timedelta

from worker import journal, metrics
from worker.apply import STRUCTURE_LOCK
from worker.database import Session
from worker.errors import Refused
from worker.jobs.job import ChunkSize, Job
from worker.logs import logger

log = logger(__name__)

ROWS_MIN, ROWS_MAX = 500, 10_000
HELD_SECONDS = 300
"""After this time an expiry that the database refused is tried again."""


class Expiry(Job):
    """Ends what is due, longest due first."""

    name = "expiry"
    every_seconds = 0.5
    journals = True

    def __init__(self, clock: journal.Clock) -> None:
        super().__init__(clock)
        self._size = ChunkSize(ROWS_MIN, ROWS_MAX)

    async def turn(self, session: Session) -> int | None:
        """The next memberships that are due."""
        began = time.monotonic()
        rows = self._size.rows
        while True:
            try:
                due, changed = await self._end(session, rows)
            except Refused as error:
                if rows == 1:
                    await self._hold(session, error)
                    return 0
                rows = max(1, rows // 2)  # corner the one that is refused
                continue
            break
        if not due:
            return None
        if due == self._size.rows:
            self._size.took(time.monotonic() - began)
        metrics.EXPIRED_MEMBERSHIPS.inc(changed)
        return changed

    async def _end(self, session: Session, rows: int) -> tuple[int, int]:
        async with session.transaction():
            await session.fetch("lock_shared", STRUCTURE_LOCK)
            row = await session.row("expiry_chunk", self._clock(), rows)
        return row["due"], row["changed"]

    async def _hold(self, session: Session, error: Refused) -> None:
        now = self._clock()
        until = now + timedelta(seconds=HELD_SECONDS)
        for row in await session.fetch("expiry_hold", now, str(error), until):
            log.error("a membership can't be expired", user=row["user_id"], segment=row["segment"], error=str(error))
        metrics.EXPIRY_HELD.inc()
