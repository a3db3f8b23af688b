"""Percents: users in the order of their keys, entered or released as the formula says."""

from __future__ import annotations

import time
from datetime import datetime

from worker.jobs.job import ChunkSize, Job
from worker.journal import rows as journal
from worker.observability import metrics
from worker.postgres import locks
from worker.postgres.clock import Clock
from worker.postgres.session import Session

ROWS_MIN, ROWS_MAX = 500, 20_000


class Rollout(Job):
    """One rollout after the other, oldest first."""

    name = "rollout"
    every_seconds = 0.5
    journals = True

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._size = ChunkSize(ROWS_MIN, ROWS_MAX)

    async def turn(self, session: Session) -> int | None:
        """The next users of the oldest unfinished rollout."""
        waiting = await session.fetch("rollouts_next")
        if not waiting:
            return None
        segment_key: int = waiting[0]["segment_key"]
        began = time.monotonic()
        async with session.transaction():
            now = await locks.structure(session, self._clock)
            rows = await session.fetch("rollout_chunk", segment_key, self._size.rows, now)
            if rows and rows[0]["is_done"]:
                await self._end(session, segment_key, now)
        self._size.took(time.monotonic() - began)
        if not rows:
            return 0
        metrics.ROLLOUT_MEMBERSHIPS.labels("entered").inc(rows[0]["entered"])
        metrics.ROLLOUT_MEMBERSHIPS.labels("exited").inc(rows[0]["exited"])
        return int(rows[0]["entered"] + rows[0]["exited"])

    async def _end(self, session: Session, segment_key: int, now: datetime) -> None:
        """Journal that the rollout is complete."""
        for row in await session.fetch("rollout_end", segment_key, now):
            data = {
                "segment": row["segment"],
                "segment_id": str(row["segment_id"]),
                "cause": "rollout",
                "percent": row["percent"],
                "entered": row["entered"],
                "exited": row["exited"],
            }
            event = journal.segment_event(None, "segment.populated", segment_key, data)
            await journal.append(session, [event], now)
