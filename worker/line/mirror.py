"""Tells others how far the worker is: Kafka's committed offsets for lag tools, the gauges, and what stands still.

Best effort: nothing reads the committed offsets to decide where to go on.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from functools import partial

from worker.errors import Unavailable
from worker.journal.backlog import Backlog, unpublished
from worker.kafka.clients import AIOKafkaConsumer, IllegalStateError, KafkaError, TopicPartition, translated
from worker.kafka.facts import high_watermarks, offsets
from worker.line.assignment import Assignment, Held
from worker.line.open_transactions import OpenTransactions
from worker.line.standstill import Standstill
from worker.observability import metrics
from worker.observability.logs import logger
from worker.observability.progress import Watch
from worker.postgres.clock import Clock, difference_seconds, difference_text
from worker.postgres.session import Session
from worker.settings import Settings

log = logger(__name__)

MIRROR_SECONDS = 5.0
COMMIT_SECONDS_MAX = 5.0
Ends = dict[TopicPartition, int]


class Mirror:
    """Publishes progress every few seconds."""

    def __init__(
        self,
        settings: Settings,
        consumer: AIOKafkaConsumer,
        assignment: Assignment,
        session: Session,
        *,
        clock: Clock,
        watch: Watch,
        standstill: Standstill,
        lanes_are_well: Callable[[], bool],
        backlog: Backlog,
    ) -> None:
        self._settings, self._consumer, self._assignment, self._session = settings, consumer, assignment, session
        self._clock, self._watch = clock, watch
        self._standstill, self._lanes_are_well = standstill, lanes_are_well
        self._backlog = backlog
        self._open = OpenTransactions()
        self._differs = False
        self._committing: asyncio.Task[None] | None = None
        self._waits_since: float | None = None
        """When the journal's oldest row began to wait for the relay, by the monotonic clock; None: none waits."""

    async def run(self) -> None:
        """Publish until cancelled."""
        metrics.UNPUBLISHED_SECONDS.set_function(self._unpublished_seconds)
        metrics.RELAY_STALLED_SECONDS.set_function(self._backlog.stalled_seconds)
        try:
            while True:
                self._watch.beat()
                await asyncio.sleep(MIRROR_SECONDS)
                ends = await self._measure_lag()
                database_answers = await self._measure_backlog()
                self._standstill.look(
                    self._known_ends() | (ends or {}),
                    services_are_well=ends is not None and database_answers and self._lanes_are_well(),
                )
                await self._measure_clock()
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

    def _known_ends(self) -> Ends:
        """What the client knows by its fetches: of a partition that nobody polls, that it holds more."""
        assigned = self._consumer.assignment()
        ends = {place: self._consumer.last_stable_offset(place) for place in self._assignment.held if place in assigned}
        return {place: end for place, end in ends.items() if end is not None}

    async def _measure_lag(self) -> Ends | None:
        """Ask Kafka for the ends: what the consumer knows of them is as old as its last fetch, and a worker that is
        held up does not fetch. None where Kafka does not answer for any of them.

        What is told are the ends of what can be read. The lag goes further, to the high watermarks: what stands behind
        an open transaction waits as well.
        """
        held = dict(self._assignment.held)
        marks: Ends = {}
        try:
            with translated(self._settings):
                async with asyncio.timeout(COMMIT_SECONDS_MAX):
                    ends, marks = await asyncio.gather(
                        offsets(self._consumer.end_offsets, list(held), COMMIT_SECONDS_MAX / 2),
                        offsets(partial(high_watermarks, self._consumer), list(held), COMMIT_SECONDS_MAX / 2),
                    )
        except Unavailable as error:
            log.debug("the lag can't be measured", error=str(error))
            ends = None
        metrics.LAG_RECORDS.clear()  # what is not known is absent, and does not stand at an old value
        metrics.LAG_SECONDS.clear()
        self._open.look(ends or {}, marks, held)
        if ends is None:
            return None
        for partition, end in ends.items():
            labels = (partition.topic, partition.partition)
            records = max(0, max(end, marks.get(partition, end)) - held[partition].applied_offset)
            metrics.LAG_RECORDS.labels(*labels).set(records)
            metrics.LAG_SECONDS.labels(*labels).set(self._lag_seconds(partition, held[partition], end))
        return ends if ends or not held else None

    def _lag_seconds(self, partition: TopicPartition, held: Held, end: int) -> float:
        if held.applied_offset >= end:  # all that can be read is applied: only a transaction may hold back more
            return self._open.seconds(partition)
        return max(0.0, time.time() - held.newest_ms / 1000) if held.newest_ms else 0.0

    async def _measure_backlog(self) -> bool:
        try:
            found = await unpublished(self._session, self._clock)
        except Unavailable as error:
            log.debug("the backlog can't be measured", error=str(error))
            metrics.UNPUBLISHED_ROWS.set(math.nan)
            return False
        metrics.UNPUBLISHED_ROWS.set(found.rows)
        age = found.oldest_seconds
        self._waits_since = None if age is None else time.monotonic() - age
        self._backlog.look(found.rows, found.published_sequence)
        return True

    def _unpublished_seconds(self) -> float:
        """At the time of a scrape: while the database is away, what waited when it was last seen goes on waiting."""
        return 0.0 if self._waits_since is None else time.monotonic() - self._waits_since

    async def _measure_clock(self) -> None:
        """A clock that is wrong decides nothing here, but it is wrong for all else on its machine, too."""
        try:
            seconds = await difference_seconds(self._session)
        except Unavailable as error:
            log.debug("the clocks can't be compared", error=str(error))
            return
        metrics.CLOCK_DIFFERENCE_SECONDS.set(seconds)
        before, self._differs = self._differs, abs(seconds) > self._settings.clock_difference_seconds_max
        if self._differs and not before:
            log.warning(difference_text(seconds))
        elif before and not self._differs:
            log.info("this machine's clock and PostgreSQL's agree again", seconds=round(seconds, 3))
