"""Forgets what is no longer needed: names of old commands, finished rollouts."""

from __future__ import annotations

from datetime import timedelta

from worker import journal
from worker.database import Session
from worker.jobs.job import Job

BLOCKS = 512
ROLLOUTS_KEPT = timedelta(days=30)


class Retention(Job):
    """A walk over the inbox in ranges of blocks; then the rest."""

    name = "retention"
    every_seconds = 3600.0
    journals = False

    def __init__(self, clock: journal.Clock, deduplication_window: timedelta) -> None:
        super().__init__(clock)
        self._window = deduplication_window
        self._block = 0

    async def turn(self, session: Session) -> int | None:
        """The next blocks of the inbox."""
        now = self._clock()
        if self._block >= (await session.row("inbox_blocks"))["blocks"]:
            self._block = 0
            await session.fetch("rollouts_prune", now - ROLLOUTS_KEPT)
            return None
        row = await session.row("inbox_prune", now - self._window, self._block, self._block + BLOCKS)
        self._block += BLOCKS
        return int(row["gone"])
