"""Reads what partitions hold, from their beginning to where they ended when the reading began."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from worker.kafka.clients import AIOKafkaConsumer, TopicPartition, abandon, reader
from worker.settings import Settings

POLL_MS = 200


class Whole:
    """Read piece by piece; it connects with the first one. Whoever reads sets a limit, and closes it."""

    def __init__(self, settings: Settings, topic: str, partitions: int) -> None:
        self._settings = settings
        self._places = [TopicPartition(topic, number) for number in range(partitions)]
        self._consumer: AIOKafkaConsumer | None = None
        self._ends: dict[TopicPartition, int] = {}

    async def next(self, records_max: int | None = None) -> Sequence[Any] | None:
        """The next records, at most so many, perhaps none yet; None at the end. Raises KafkaError."""
        consumer = self._consumer or await self._open()
        for place in self._places:
            if await consumer.position(place) < self._ends[place]:
                break
        else:
            return None
        polled = await consumer.getmany(timeout_ms=POLL_MS, max_records=records_max)
        return [record for found in polled.values() for record in found]

    async def close(self) -> None:
        """Leave Kafka; what is read next begins anew."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await abandon(consumer.stop())

    async def _open(self) -> AIOKafkaConsumer:
        self._consumer = consumer = reader(self._settings)
        await consumer.start()
        consumer.assign(self._places)
        await consumer.seek_to_beginning(*self._places)
        self._ends = await consumer.end_offsets(self._places)
        return consumer
