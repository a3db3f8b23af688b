"""Ends the memberships of deleted segments: chunk by chunk, each with its events, in one transaction each.

A chunk is a range of the table's blocks, so no index by segment is needed on the hot path; a walk goes over the table
once for all segments that were pending when it began. Its progress is stored with each chunk.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from worker import journal, metrics
from worker.apply import STRUCTURE_LOCK
from worker.database import Database, Session
from worker.election import Elected
from worker.logs import logger
from worker.progress import Progress

log = logger(__name__)

CHUNK_BLOCKS_MIN, CHUNK_BLOCKS_MAX = 32, 256
"""Blocks in one chunk; a block holds at most some 110 memberships."""
CHUNK_ROWS = 2_000
"""Memberships that a chunk should end; the number of blocks follows from it."""
IDLE_SECONDS = 0.5
PAUSE_SECONDS = 0.005
"""Between chunks, so that command batches come through."""


class Deletion(Elected):
    """The one process that ends memberships of deleted segments."""

    name = "deletion"
    lock = 2

    def __init__(
        self,
        database: Database,
        progress: Progress,
        *,
        clock: Callable[[], datetime],
        journaled: Callable[[], None],
    ) -> None:
        super().__init__(database, progress)
        self._clock, self._journaled = clock, journaled

    async def lead(self, session: Session) -> None:
        """Walk whenever something is pending, until told to stop."""
        while not self.stopping.is_set():
            self._beat()
            walk = await session.fetch("deletion_begin")
            if not walk:
                await self.wait(IDLE_SECONDS)
                continue
            await self._walk(session, [row["segment_key"] for row in walk], walk[0]["next_block"])

    async def _walk(self, session: Session, segment_keys: list[int], block: int) -> None:
        """From `block` to the end of the table; an unfinished walk is gone on with by the next leader."""
        blocks = CHUNK_BLOCKS_MIN
        while not self.stopping.is_set():
            self._beat()
            if block >= (await session.row("memberships_blocks"))["blocks"]:
                await self._finish(session, segment_keys)
                return
            async with session.transaction():
                await session.fetch("lock_shared", STRUCTURE_LOCK)
                row = await session.row("deletion_chunk", segment_keys, block, block + blocks, self._clock())
            ended: int = row["ended"]
            if ended:
                metrics.DELETED_MEMBERSHIPS.inc(ended)
                self._journaled()
            block += blocks
            blocks = max(CHUNK_BLOCKS_MIN, blocks // 2) if ended > CHUNK_ROWS else min(CHUNK_BLOCKS_MAX, blocks * 2)
            await self.wait(PAUSE_SECONDS)

    async def _finish(self, session: Session, segment_keys: list[int]) -> None:
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
            await journal.append(session, rows, self._clock())
        self._journaled()
        log.info("memberships of deleted segments ended", segments=len(rows))
