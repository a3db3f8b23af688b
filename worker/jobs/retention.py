"""Forgets what is no longer needed, and makes room for what comes: the inbox, the journal's months, rollouts."""

from __future__ import annotations

from datetime import datetime, timedelta

import isodate

from worker.jobs.job import Job
from worker.observability.logs import logger
from worker.postgres.clock import Clock, moment
from worker.postgres.session import Session

log = logger(__name__)

BLOCKS = 512
"""Blocks of the inbox that a turn looks through."""
ROLLOUTS_KEPT = timedelta(days=30)
MONTHS_AHEAD = 2


class Retention(Job):
    """A walk over the inbox in ranges of blocks; then the rest."""

    name = "retention"
    every_seconds = 3600.0
    journals = False

    def __init__(
        self, clock: Clock, deduplication_window: timedelta, journal_retention: isodate.Duration | timedelta
    ) -> None:
        super().__init__(clock)
        self._window, self._journal_retention = deduplication_window, journal_retention
        self._block = 0

    async def turn(self, session: Session) -> int | None:
        """The next blocks of the inbox."""
        now = await moment(session, self._clock)
        if self._block >= (await session.row("inbox_blocks"))["blocks"]:
            self._block = 0
            await self._rest(session, now)
            return None
        row = await session.row("inbox_prune", now - self._window, self._block, self._block + BLOCKS)
        self._block += BLOCKS
        return int(row["gone"])

    async def _rest(self, session: Session, now: datetime) -> None:
        await session.fetch("rollouts_prune", now - ROLLOUTS_KEPT)
        await session.row("expiry_held_prune", now)
        async with session.transaction():
            await session.fetch("lock_timeout_short")
            made = (await session.row("journal_ahead", now, MONTHS_AHEAD))["made"]
        async with session.transaction():
            await session.fetch("lock_timeout_short")
            dropped = [row["name"] for row in await session.fetch("journal_drop", now - self._journal_retention)]
        if made or dropped:
            log.info("journal partitions", made=made, dropped=dropped)
