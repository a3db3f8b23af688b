"""Tells others how far the worker is: Kafka's own committed offsets for lag tools, and the gauges of lag and backlog.

Best effort: nothing reads the committed offsets to decide where to go on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime

from worker.errors import Unavailable
from worker.kafka.clients import AIOKafkaConsumer, IllegalStateError, KafkaError
from worker.line.assignment import Assignment
from worker.observability import metrics
from worker.observability.logs import logger
from worker.postgres.session import Session

log = logger(__name__)

MIRROR_SECONDS = 5.0
COMMIT_SECONDS_MAX = 5.0


class Mirror:
    """Publishes progress every few seconds."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        assignment: Assignment,
        session: Session,
        *,
        clock: Callable[[], datetime],
    ) -> None:
        self._consumer, self._assignment, self._session = consumer, assignment, session
        self._clock = clock
        self._committing: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Publish until cancelled."""
        try:
            while True:
                await asyncio.sleep(MIRROR_SECONDS)
                await self._measure_lag()
                await self._measure_backlog()
                if self._committing is None or self._committing.done():
                    self._committing = asyncio.create_task(self.commit())
        finally:
            await self._session.close()

    async def commit(self) -> None:
        """Commit the applied offsets to the consumer group."""
        offsets = {partition: held.applied_offset for partition, held in self._assignment.held.items()}
        if not offsets:
            return
        try:
            async with asyncio.timeout(COMMIT_SECONDS_MAX):
                await self._consumer.commit(offsets)
        except (KafkaError, OSError, TimeoutError, IllegalStateError) as error:
            log.debug("offsets were not mirrored to Kafka", error=str(error))

    async def _measure_lag(self) -> None:
        """Ask Kafka for the ends: what the consumer knows of them is as old as its last fetch, and a worker that is
        held up does not fetch."""
        held = dict(self._assignment.held)
        try:
            async with asyncio.timeout(COMMIT_SECONDS_MAX):
                ends = await self._consumer.end_offsets(list(held)) if held else {}
        except (KafkaError, OSError, TimeoutError, IllegalStateError) as error:
            log.debug("the lag can't be measured", error=str(error))
            return
        metrics.LAG_RECORDS.clear()
        metrics.LAG_SECONDS.clear()
        for partition, state in held.items():
            records = max(0, ends[partition] - state.applied_offset)
            labels = (partition.topic, partition.partition)
            metrics.LAG_RECORDS.labels(*labels).set(records)
            age = max(0.0, time.time() - state.newest_ms / 1000) if records and state.newest_ms else 0.0
            metrics.LAG_SECONDS.labels(*labels).set(age)

    async def _measure_backlog(self) -> None:
        try:
            row = await self._session.row("journal_backlog")
        except Unavailable as error:
            log.debug("the backlog can't be measured", error=str(error))
            return
        metrics.UNPUBLISHED_ROWS.set(row["unpublished"])
        oldest = row["oldest_time"]
        metrics.UNPUBLISHED_SECONDS.set((self._clock() - oldest).total_seconds() if oldest else 0.0)
