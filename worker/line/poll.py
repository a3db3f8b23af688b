"""What to read next, of which partitions, and how long to wait for it: segment commands, then a batch for each lane."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from worker.kafka.clients import (
    AIOKafkaConsumer,
    ConsumerRecord,
    KafkaError,
    TopicPartition,
)
from worker.line.assignment import Assignment
from worker.line.lanes import Lane, any_room
from worker.settings import Settings

BEAT_SECONDS = 2.0
BUSY_WAIT_MS = 20
"""Longest wait of a poll for the lanes that have room, while others have none, ms."""

Polled = dict[TopicPartition, list[ConsumerRecord]]


class Poll:
    """Polls of one consumer. Never cancelled before it is stopped: aiokafka would not survive it whole."""

    def __init__(
        self,
        settings: Settings,
        consumer: AIOKafkaConsumer,
        lanes: Sequence[Lane],
        assignment: Assignment,
        *,
        segment_topic: str,
        stopping: asyncio.Event,
        beat: Callable[[], None],
    ) -> None:
        self._settings, self._consumer, self._lanes, self._assignment = settings, consumer, lanes, assignment
        self._segment_topic, self._stopping, self._beat = segment_topic, stopping, beat
        self._error: KafkaError | OSError | None = None

    async def __call__(self) -> Polled:
        """Segment commands first, so that a segment goes before its members when both wait; then a batch for each lane.

        What is fetched at once can come in between: who was asked before it is asked again, so that it is one batch.
        Raises KafkaError and OSError; what was handed out before is returned first, as it does not come again.
        """
        error, self._error = self._error, None
        if error is not None:
            raise error
        polled: Polled = {}
        try:
            await self._fill(polled)
        except (KafkaError, OSError) as error:
            if not polled:
                raise
            self._error = error
        return polled

    async def _fill(self, polled: Polled) -> None:
        shares = self._shares()
        segments = shares.pop(None, [])
        await self._ask(polled, shares, segments)
        if not polled:
            polled |= await self._wait(shares, segments)
        if polled:
            await self._ask(polled, shares, segments)

    async def _ask(
        self, polled: Polled, shares: dict[Lane | None, list[TopicPartition]], segments: list[TopicPartition]
    ) -> None:
        """Whatever is there of those of whom nothing was had yet; with segment commands all lanes take part."""
        if segments and polled.keys().isdisjoint(segments):
            polled |= await self._records(*segments, timeout_ms=0)
        takes_all = not polled.keys().isdisjoint(segments)
        for lane, partitions in shares.items():
            if lane is not None and (takes_all or lane.has_room()) and polled.keys().isdisjoint(partitions):
                polled |= await self._records(*partitions, timeout_ms=0)

    def lane_of(self, partition: TopicPartition) -> Lane:
        """A partition always has the same one."""
        lane: Lane = self._lanes[partition.partition % len(self._lanes)]
        return lane

    async def beating(self, waiting: Coroutine[Any, Any, None]) -> None:
        """Wait for the lanes, however long the database is away: each of them has a pulse of its own."""
        task = asyncio.ensure_future(waiting)
        try:
            while not (await asyncio.wait({task}, timeout=BEAT_SECONDS))[0]:
                self._beat()
        finally:
            task.cancel()
        task.result()

    async def _wait(
        self, shares: dict[Lane | None, list[TopicPartition]], segments: Sequence[TopicPartition]
    ) -> Polled:
        """Nothing is there yet: wait for records, or for a lane that takes some."""
        if all(lane.has_room() for lane in self._lanes):
            return await self._records(timeout_ms=self._settings.batch_wait_ms_max)
        open_ = [partition for lane, share in shares.items() if lane and lane.has_room() for partition in share]
        if open_:
            return await self._records(*segments, *open_, timeout_ms=BUSY_WAIT_MS)
        await self.beating(any_room(self._lanes))
        return {}

    def _shares(self) -> dict[Lane | None, list[TopicPartition]]:
        """The held partitions by their lane; those with segment commands have none of their own.

        A poll takes all it can from one partition before it looks at the next: lanes that share one would starve.
        """
        shares: dict[Lane | None, list[TopicPartition]] = {}
        for partition in self._assignment.held:
            lane = None if partition.topic == self._segment_topic else self.lane_of(partition)
            shares.setdefault(lane, []).append(partition)
        return shares

    async def _records(self, *partitions: TopicPartition, timeout_ms: int) -> Polled:
        """aiokafka's call, of all partitions if none is named; it waits out rebalances of any length."""
        count = self._settings.batch_commands_max
        call = self._consumer.getmany(*partitions, timeout_ms=timeout_ms, max_records=count)
        polling = asyncio.ensure_future(call)
        while not (await asyncio.wait({polling}, timeout=BEAT_SECONDS))[0]:
            self._beat()
            if self._stopping.is_set():
                polling.cancel()
                return {}
        return polling.result()  # type: ignore[no-any-return]
