"""What to read next, of which partitions, and how long to wait for it: segment commands, then a batch for each lane."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

from worker.kafka.clients import AIOKafkaConsumer, ConsumerRecord, KafkaError, TopicPartition
from worker.kafka.fetched import Budget
from worker.line.assignment import Assignment
from worker.line.lanes import BEAT_SECONDS, Lane, Lanes
from worker.settings import Settings

BUSY_WAIT_MS = 20
"""Longest wait of a poll for the lanes that have room, while others have none, ms."""

Records = dict[TopicPartition, list[ConsumerRecord]]
Shares = dict[Lane, list[TopicPartition]]


class Polled(NamedTuple):
    """What a poll has brought, and what went wrong at one of the partitions at least."""

    records: Records
    error: KafkaError | OSError | None


class Poll:
    """Polls of one consumer. A poll is never cancelled before the consumer is stopped: aiokafka could lose records."""

    def __init__(
        self,
        settings: Settings,
        consumer: AIOKafkaConsumer,
        lanes: Lanes,
        assignment: Assignment,
        *,
        segment_topic: str,
        stopping: asyncio.Event,
        beat: Callable[[], None],
        budget: Budget,
    ) -> None:
        self._settings, self._consumer, self._lanes, self._assignment = settings, consumer, lanes, assignment
        self._segment_topic, self._stopping, self._beat, self._budget = segment_topic, stopping, beat, budget
        self._error: KafkaError | OSError | None = None

    async def __call__(self) -> Polled:
        """Segment commands first, so that a segment goes before its members when both wait; then a batch for each lane.

        What is fetched at once can come in between: who was asked before it is asked again, so that it is one batch.
        An error of some partitions keeps none of the others from being asked. After one, seek all partitions to where
        they are: aiokafka may have gone on over records that it did not hand out.
        """
        self._error = None
        records: Records = {}
        segments, shares = self._shares()
        await self._ask(records, segments, shares)
        if not records and self._error is None:
            await self._wait(records, segments, shares)
        if records:
            await self._ask(records, segments, shares)
        return Polled(records, self._error)

    async def _ask(self, records: Records, segments: Sequence[TopicPartition], shares: Shares) -> None:
        """Take what was fetched already, of those that gave nothing yet; with segment commands all lanes take part."""
        if segments and records.keys().isdisjoint(segments):
            await self._get(records, segments)
        takes_all = not records.keys().isdisjoint(segments)
        for lane, partitions in shares.items():
            if (takes_all or lane.has_room()) and records.keys().isdisjoint(partitions):
                await self._get(records, partitions)

    async def _wait(self, records: Records, segments: Sequence[TopicPartition], shares: Shares) -> None:
        """Nothing is there yet: wait for records, or where no lane takes any, for one that does."""
        full = [lane for lane in shares if not lane.has_room()]
        if not full:
            await self._get(records, (), timeout_ms=self._settings.batch_wait_ms_max)
            return
        open_ = [partition for lane, share in shares.items() if lane not in full for partition in share]
        if open_:
            await self._get(records, [*segments, *open_], timeout_ms=BUSY_WAIT_MS)
            return
        await self._lanes.any_room(full)

    def _shares(self) -> tuple[list[TopicPartition], Shares]:
        """The held partitions with segment commands, and the others by their lane.

        A poll takes all it can from one partition before it looks at the next: lanes that share one would starve.
        """
        segments: list[TopicPartition] = []
        shares: Shares = {}
        for partition, held in self._assignment.held.items():
            if partition.topic == self._segment_topic:
                segments.append(partition)
            else:
                shares.setdefault(self._lanes.of(held), []).append(partition)
        return segments, shares

    async def _get(self, records: Records, partitions: Sequence[TopicPartition], *, timeout_ms: int = 0) -> None:
        """aiokafka's call, of all partitions if none is named; it waits out rebalances of any length."""
        count = self._settings.batch_commands_max
        self._budget.renew()
        call = self._consumer.getmany(*partitions, timeout_ms=timeout_ms, max_records=count)
        polling = asyncio.ensure_future(call)
        polling.add_done_callback(_noticed)
        while not (await asyncio.wait({polling}, timeout=BEAT_SECONDS))[0]:
            self._beat()
            if self._stopping.is_set():
                polling.cancel()
                return
        try:
            records |= polling.result()
        except (KafkaError, OSError) as error:
            self._error = self._error or error


def _noticed(polling: asyncio.Future[Records]) -> None:
    """A poll that fails after nobody waits for it any more is not to be told in the log."""
    if not polling.cancelled():
        polling.exception()
