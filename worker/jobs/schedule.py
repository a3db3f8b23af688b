"""Commands whose time has come: when they are decided, and how many at once. How is the line's matter."""

from __future__ import annotations

import time
from typing import Protocol

from worker.jobs.job import ChunkSize, Job
from worker.observability import metrics
from worker.postgres.clock import Clock
from worker.postgres.session import Session

ROWS_MIN, ROWS_MAX = 500, 5_000
COUNT_SECONDS = 15.0
"""How often those that wait are counted."""


class Decider(Protocol):
    """What decides them."""

    async def turn(self, session: Session, rows_max: int) -> int | None:
        """Decide at most so many; returns how many, or None where nothing is due."""


class Schedule(Job):
    """What is due, the oldest first."""

    name = "schedule"
    every_seconds = 0.25
    journals = True
    is_urgent = True

    def __init__(self, clock: Clock, decider: Decider) -> None:
        super().__init__(clock)
        self._decider = decider
        self._size = ChunkSize(ROWS_MIN, ROWS_MAX)
        self._count_at = 0.0

    async def turn(self, session: Session) -> int | None:
        """The next commands that are due."""
        if time.monotonic() >= self._count_at:
            self._count_at = time.monotonic() + COUNT_SECONDS
            metrics.SCHEDULED_COMMANDS.set((await session.row("schedule_count"))["waiting"])
        began, rows = time.monotonic(), self._size.rows
        decided = await self._decider.turn(session, rows)
        if decided == rows:
            self._size.took(time.monotonic() - began)
        return decided
