"""Reads what the worker says: events, rejections and replies, from now on or from the beginning."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Collection
from typing import Any

from schemas.topics import TOPICS, Topic, topic_name
from worker.errors import ConfigurationError, Unavailable
from worker.kafka import topics
from worker.kafka.clients import (
    AIOKafkaConsumer,
    ConsumerRecord,
    TopicPartition,
    abandon,
    bounded,
    explained,
    reader,
    translated,
)
from worker.settings import Settings

POLL_MS = 200
RECORDS_MAX = 2_000
HISTORY_EVENTS_MAX = 10_000
"""So many old events are put in order over all topics before the first is told; of more, each part by itself."""

OUTPUTS = tuple(topic for topic, spec in TOPICS.items() if spec.direction == "out")

Event = dict[str, Any]


class Tail:
    """An open reading of topics that the worker writes for others."""

    def __init__(self, settings: Settings, consumer: AIOKafkaConsumer, history_ends: dict[TopicPartition, int]) -> None:
        self._settings, self._consumer, self._history_ends = settings, consumer, history_ends
        self._history: list[Event] = []

    async def poll(self) -> list[Event]:
        """What came since, none within some 200 ms; what is no JSON object is left out. Raises Unavailable."""
        polled = await self._polled()
        found = [event for records in polled.values() for record in records if (event := _event(record)) is not None]
        if self._history_ends or self._history:
            self._history += found
            await self._leave_history_behind()
            if self._history_ends and len(self._history) < HISTORY_EVENTS_MAX:
                return []
            found, self._history = self._history, []
        return sorted(found, key=_order)

    async def _polled(self) -> dict[TopicPartition, list[ConsumerRecord]]:
        """What Kafka has; where it fails, the history that was read is told first."""
        try:
            with translated(self._settings):
                found: dict[TopicPartition, list[ConsumerRecord]] = await self._consumer.getmany(
                    timeout_ms=POLL_MS, max_records=RECORDS_MAX
                )
        except Unavailable:
            if not self._history:
                raise
            self._history_ends.clear()
            return {}
        return found

    async def _leave_history_behind(self) -> None:
        """Forget the partitions that were read up to where they ended when this began."""
        for place, end in list(self._history_ends.items()):
            if await self._consumer.position(place) >= end:
                del self._history_ends[place]


@contextlib.asynccontextmanager
async def tail(
    settings: Settings, outputs: Collection[Topic] = OUTPUTS, *, from_beginning: bool = False
) -> AsyncIterator[Tail]:
    """Open a reading; what is written after this returns is seen. Raises Unavailable or ConfigurationError."""
    wanted = {topic_name(settings.topic_prefix, topic) for topic in outputs}
    counts = await topics.partitions(settings)
    missing = wanted - counts.keys()
    if missing:
        raise ConfigurationError(
            f"Kafka at {settings.kafka_bootstrap_servers} lacks the topics {', '.join(sorted(missing))}: "
            "run `segmentation topics`"
        )
    places = [TopicPartition(name, partition) for name in sorted(wanted) for partition in range(counts[name])]
    consumer = reader(settings)
    try:
        async with explained(settings):
            await bounded(consumer.start(), settings.kafka_seconds_max)
            consumer.assign(places)
            ends = await bounded(consumer.end_offsets(places), settings.kafka_seconds_max)
            begins = await bounded(consumer.beginning_offsets(places), settings.kafka_seconds_max)
            for place, offset in (begins if from_beginning else ends).items():
                consumer.seek(place, offset)
        yield Tail(settings, consumer, ends if from_beginning else {})
    finally:
        await abandon(consumer.stop())


def is_caused(event: Event, command_id: str, source: str) -> bool:
    """Whether the command of this id and source has caused the event; older versions do not tell the source."""
    return event.get("causationid") == command_id and event.get("causationsource", source) == source


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
