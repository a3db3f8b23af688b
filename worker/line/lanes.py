"""Lanes apply batches side by side, each over its own session; a partition always has the same lane."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from worker.errors import Fenced
from worker.line.apply import Applier, Outcome
from worker.line.batch import Batch
from worker.observability import metrics
from worker.observability.logs import logger
from worker.observability.progress import Watch
from worker.postgres.session import Session

log = logger(__name__)

LANE_BATCHES_MAX = 1
"""Batches that wait in a lane while it applies another; so much is decoded ahead."""


class Lane:
    """Applies its batches in order."""

    def __init__(
        self,
        applier: Applier,
        session: Session,
        *,
        watch: Watch,
        applied: Callable[[Batch, Outcome], None],
        fenced: Callable[[Batch], None],
        current: Callable[[Batch], bool],
    ) -> None:
        self._applier, self._session, self._watch = applier, session, watch
        self._applied, self._fenced, self._current = applied, fenced, current
        self._queue: asyncio.Queue[Batch] = asyncio.Queue(LANE_BATCHES_MAX)
        self._taken = asyncio.Event()

    async def put(self, batch: Batch) -> None:
        """Hand over a batch; waits while the lane has enough."""
        await self._queue.put(batch)

    def has_room(self) -> bool:
        """Whether `put` would not wait."""
        return not self._queue.full()

    async def room(self) -> None:
        """Wait until the lane takes a batch out of its queue."""
        self._taken.clear()
        await self._taken.wait()

    async def idle(self) -> None:
        """Wait until all that was handed over is settled."""
        await self._queue.join()

    async def run(self) -> None:
        """Apply what is handed over, until cancelled."""
        try:
            while True:
                batch = await self._queue.get()
                self._taken.set()
                self._watch.beat()
                try:
                    await self._settle(batch)
                finally:
                    self._watch.rest()
                    self._queue.task_done()
        finally:
            await self._session.close()

    async def _settle(self, batch: Batch) -> None:
        if not self._current(batch):
            return
        began = time.perf_counter()
        try:
            outcome = await self._applier.apply(batch)
        except Fenced as error:
            metrics.FENCED.inc()
            log.info("batch dropped", reason=str(error), records=len(batch.records))
            self._fenced(batch)
            return
        if batch.records:
            metrics.BATCH_SECONDS.observe(time.perf_counter() - began)
            metrics.BATCH_COMMANDS.observe(len(batch.records))
        for (command_type, result), count in outcome.counts.items():
            metrics.COMMANDS.labels(command_type, result).inc(count)
        self._applied(batch, outcome)


async def all_idle(lanes: Sequence[Lane]) -> None:
    """Wait until every lane has settled all that it was given."""
    for lane in lanes:
        await lane.idle()


async def any_room(lanes: Sequence[Lane]) -> None:
    """Wait until one of the lanes, all of which are full, takes a batch."""
    waiting = [asyncio.ensure_future(lane.room()) for lane in lanes]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in waiting:
            one.cancel()
