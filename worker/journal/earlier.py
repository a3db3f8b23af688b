"""What the topic of states tells from earlier on: read once, before a snapshot, to find what is not true any more.

While the topic was switched off, or where the database was restored to an earlier state, users may have left their last
segment or have been forgotten without a record; a snapshot of those who are in a segment would not tell it.
"""

from __future__ import annotations

import asyncio

import orjson

from worker.kafka import clients as kafka
from worker.settings import Settings

RECORDS_MAX = 1_000
"""Records that are looked at in one go."""
POLL_MS = 200


class Earlier:
    """Reads the topic from its beginning to where it ended when this was opened."""

    def __init__(self, settings: Settings, topic: str, partitions: int) -> None:
        self._settings = settings
        self._places = [kafka.TopicPartition(topic, number) for number in range(partitions)]
        self._consumer: kafka.AIOKafkaConsumer | None = None
        self._ends: dict[kafka.TopicPartition, int] = {}

    async def users(self, head: int) -> list[str] | None:
        """The next users whom a record has in a segment, or as of a number after `head`; None where none is left."""
        async with asyncio.timeout(self._settings.kafka_seconds_max):
            consumer = self._consumer or await self._open()
            if await self._is_at_end(consumer):
                await self.close()
                return None
            polled = await consumer.getmany(timeout_ms=POLL_MS, max_records=RECORDS_MAX)
        records = [record for found in polled.values() for record in found]
        return list(dict.fromkeys(record.key.decode() for record in records if _is_doubtful(record.value, head)))

    async def close(self) -> None:
        """Leave Kafka."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await kafka.abandon(consumer.stop())

    async def _open(self) -> kafka.AIOKafkaConsumer:
        self._consumer = consumer = kafka.reader(self._settings)
        await consumer.start()
        consumer.assign(self._places)
        await consumer.seek_to_beginning(*self._places)
        self._ends = await consumer.end_offsets(self._places)
        return consumer

    async def _is_at_end(self, consumer: kafka.AIOKafkaConsumer) -> bool:
        for place in self._places:
            if await consumer.position(place) < self._ends[place]:
                return False
        return True


def _is_doubtful(value: bytes | None, head: int) -> bool:
    if value is None:
        return False
    state = orjson.loads(value)
    return bool(state["segments"]) or state["sequence"] > head
