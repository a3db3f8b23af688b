"""Lanes apply batches side by side, each over its own session; a held partition keeps its lane."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from typing import Any

from worker.errors import Fenced
from worker.line.apply import Applier, Outcome
from worker.line.assignment import Held
from worker.line.batch import Batch
from worker.observability import metrics
from worker.observability.logs import logger
from worker.observability.progress import Watch
from worker.postgres.session import Session

log = logger(__name__)

LANE_BATCHES_MAX = 1
"""Batches that wait in a lane while it applies another; so much is decoded ahead."""
BEAT_SECONDS = 2.0
"""How often the reader beats while it waits for lanes."""


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

    def waits_for_database(self) -> bool:
        """Whether the batch in hand is tried again because the database was not available."""
        return self._applier.is_retrying

    def trouble(self) -> str | None:
        """What keeps the database from taking the batch in hand, if that is known."""
        return self._applier.trouble

    async def room(self) -> None:
        """Wait until `put` would not wait; returns at once where that is so already."""
        while not self.has_room():
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
        if not self._current(batch):  # one of its partitions has moved on; the others are read again
            self._fenced(batch)
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


class Lanes:
    """All lanes of a worker. Waiting here counts as progress, as each lane is watched by itself."""

    def __init__(self, lanes: Sequence[Lane], beat: Callable[[], None]) -> None:
        self._lanes, self._beat = lanes, beat

    def __iter__(self) -> Iterator[Lane]:
        return iter(self._lanes)

    def of(self, held: Held) -> Lane:
        """The lane of a held partition."""
        return self._lanes[held.lane]

    def wait_for_database(self) -> bool:
        """Whether one of them can't get on because the database is not available."""
        return any(lane.waits_for_database() for lane in self._lanes)

    async def put(self, batch: Batch, lane: Lane) -> None:
        """Hand a batch to a lane as soon as that has room."""
        await self._beating(lane.put(batch))

    async def put_alone(self, batch: Batch) -> None:
        """Apply a batch while no other one is applied."""
        await self.all_idle()
        await self._beating(self._lanes[0].put(batch))
        await self.all_idle()

    async def all_idle(self) -> None:
        """Wait until every lane has settled all that it was given."""
        for lane in self._lanes:
            await self._beating(lane.idle())

    async def any_room(self, lanes: Iterable[Lane]) -> None:
        """Wait until one of these lanes, at least one, has room."""
        waiting = [asyncio.ensure_future(lane.room()) for lane in lanes]
        try:
            while not (await asyncio.wait(waiting, timeout=BEAT_SECONDS, return_when=asyncio.FIRST_COMPLETED))[0]:
                self._beat()
        finally:
            for one in waiting:
                one.cancel()

    async def _beating(self, waiting: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(waiting)
        try:
            while not (await asyncio.wait({task}, timeout=BEAT_SECONDS))[0]:
                self._beat()
        finally:
            task.cancel()
        task.result()
