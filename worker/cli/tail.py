"""Reads what the worker says: events, rejections and replies, from now on or from the beginning."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Collection
from typing import Any

from schemas.topics import TOPICS, Topic, topic_name
from worker import topics
from worker.errors import ConfigurationError
from worker.kafka import (
    AIOKafkaConsumer,
    ConsumerRecord,
    TopicPartition,
    abandon,
    bounded,
    reader,
    translated,
)
from worker.settings import Settings

POLL_MS = 200
RECORDS_MAX = 2_000

OUTPUTS = tuple(topic for topic, spec in TOPICS.items() if spec.direction == "out")

Event = dict[str, Any]


class Tail:
    """An open reading of topics that the worker writes for others."""

    def __init__(self, settings: Settings, consumer: AIOKafkaConsumer) -> None:
        self._settings, self._consumer = settings, consumer

    async def poll(self) -> list[Event]:
        """What came since, none within some 200 ms; what is no JSON object is left out."""
        with translated(self._settings):
            polled = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=RECORDS_MAX)
        found = [event for records in polled.values() for record in records if (event := _event(record)) is not None]
        return sorted(found, key=_order)


@contextlib.asynccontextmanager
async def tail(
    settings: Settings, outputs: Collection[Topic] = OUTPUTS, *, from_beginning: bool = False
) -> AsyncIterator[Tail]:
    """Open a reading; what is written after this returns is seen. Raises Unavailable or ConfigurationError."""
    wanted = {topic_name(settings.topic_prefix, topic) for topic in outputs}
    counts = await topics.partitions(settings)
    missing = wanted - counts.keys()
    if missing:
        raise ConfigurationError(f"Kafka lacks the topics {', '.join(sorted(missing))}: run `segmentation topics`")
    places = [TopicPartition(name, partition) for name in sorted(wanted) for partition in range(counts[name])]
    consumer = reader(settings)
    try:
        with translated(settings):
            await bounded(consumer.start(), settings.kafka_seconds_max)
            consumer.assign(places)
            ask = consumer.beginning_offsets if from_beginning else consumer.end_offsets
            for place, offset in (await bounded(ask(places), settings.kafka_seconds_max)).items():
                consumer.seek(place, offset)
        yield Tail(settings, consumer)
    finally:
        await abandon(consumer.stop())


def _event(record: ConsumerRecord) -> Event | None:
    with contextlib.suppress(ValueError, RecursionError):
        event: object = json.loads(record.value or b"")
        if isinstance(event, dict):
            return event
    return None


def _order(event: Event) -> tuple[str, int]:
    """As the journal has it; times alone do not tell, since a batch's events share one."""
    sequence = str(event.get("sequence", ""))
    return str(event.get("time", "")), int(sequence) if sequence.isascii() and sequence.isdigit() else 0
