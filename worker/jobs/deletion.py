"""Ends the memberships of deleted segments: chunk by chunk, each with its events, in one transaction each.

A chunk is a range of the table's blocks, so no index by segment is needed on the hot path; a walk goes over the table
once for all segments that were pending when it began. Its progress is stored with each chunk.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from worker.jobs.job import ChunkSize, Job
from worker.journal import rows as journal
from worker.observability import metrics
from worker.postgres import locks
from worker.postgres.clock import Clock, moment
from worker.postgres.session import Session

BLOCKS_MIN, BLOCKS_MAX = 8, 1_024
"""Blocks in one chunk; a block holds at most some 130 memberships."""


class Deletion(Job):
    """One walk after the other, while something is pending."""

    name = "deletion"
    every_seconds = 0.5
    journals = True

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._size = ChunkSize(BLOCKS_MIN, BLOCKS_MAX)

    async def turn(self, session: Session) -> int | None:
        """The next blocks of the walk."""
        walk = await session.fetch("deletion_begin")
        if not walk:
            return None
        segment_keys = [row["segment_key"] for row in walk]
        block = min(row["next_block"] for row in walk)  # two leaders may have begun it with different segments
        if block >= (await session.row("memberships_blocks"))["blocks"]:
            await self._finish(session, segment_keys)
            return 0
        began = time.monotonic()
        async with session.transaction():
            now = await locks.structure(session, self._clock)
            row = await session.row("deletion_chunk", segment_keys, block, block + self._size.rows, now)
        self._size.took(time.monotonic() - began)
        metrics.DELETED_MEMBERSHIPS.inc(row["ended"])
        return int(row["ended"])

    async def _finish(self, session: Session, segment_keys: Sequence[int]) -> None:
        """Say of each segment how many memberships were ended."""
        async with session.transaction():
            rows = []
            for row in await session.fetch("deletion_end", segment_keys):
                data = {
                    "segment": row["segment"],
                    "segment_id": str(row["segment_id"]),
                    "cause": "segment_deleted",
                    "percent": None,
                    "entered": 0,
                    "exited": row["exited"],
                }
                rows.append(journal.segment_event(None, "segment.populated", row["segment_key"], data))
            await journal.append(session, rows, await moment(session, self._clock))
