"""Counts who is in which segment: the journal is read behind a cursor of its own, which no command waits for.

A database that has memberships already begins with one count of all of them, beside the other jobs: it takes seconds
for ten million, over a session of its own.
"""

from __future__ import annotations

import asyncio
import time

from worker.errors import Unavailable
from worker.jobs.job import ChunkSize, Job
from worker.observability import metrics
from worker.observability.logs import logger
from worker.postgres.session import Session

log = logger(__name__)

ROWS_MIN, ROWS_MAX = 1_000, 50_000
COUNT_SECONDS_MAX = 3_600.0
"""Longest first count of all memberships, s."""


class Tally(Job):
    """The journal's next rows, added up by segment and by segment and day."""

    name = "tally"
    every_seconds = 1.0
    journals = False

    def __init__(self, counting: Session) -> None:
        """`counting` is for the first count alone; its statements may take as long as that does."""
        self._counting = counting
        self._first: asyncio.Task[None] | None = None
        self._size = ChunkSize(ROWS_MIN, ROWS_MAX)

    async def turn(self, session: Session) -> int | None:
        """Count the next rows of the journal; raises what the first count has raised."""
        state = await session.row("tally_behind")
        metrics.TALLY_ROWS_BEHIND.set(state["behind"])
        if not state["is_begun"]:
            await self._begin()
            return None
        if not state["behind"]:
            return None
        began, rows = time.monotonic(), self._size.rows
        async with session.transaction():
            cursor = await session.row("tally_cursor")
            counted = int((await session.row("tally_chunk", cursor["sequence"], cursor["time"], rows))["counted"])
        if counted == rows:
            self._size.took(time.monotonic() - began)
        return counted

    async def _begin(self) -> None:
        """Have all memberships counted in the background, once; another leader that does so too counts nothing."""
        if self._first is None:
            self._first = asyncio.create_task(self._count())
        if self._first.done():
            first, self._first = self._first, None
            first.result()

    async def _count(self) -> None:
        began = time.monotonic()
        try:
            for row in await self._counting.fetch("tally_begin"):
                seconds = round(time.monotonic() - began, 1)
                log.info("all memberships were counted", as_of_sequence=row["sequence"], seconds=seconds)
        except Unavailable as error:
            log.warning("the first count of all memberships will be tried again", error=str(error))
        finally:
            await self._counting.close()
