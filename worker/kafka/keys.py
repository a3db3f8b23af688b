"""Whether what is sent about one user or segment comes on one partition: otherwise its order is lost."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from dataclasses import dataclass

from schemas.topics import Topic, topic_name
from worker.kafka import clients as kafka
from worker.kafka import topics
from worker.kafka.ranges import Range, read
from worker.settings import Settings

KEYED = (Topic.SEGMENT_COMMANDS, Topic.MEMBERSHIP_COMMANDS)
RECORDS_MAX = 20_000
"""So many of a topic's newest records are looked at, an equal share of each partition."""
SECONDS_MAX = 5.0
"""So long the look at a topic takes; what was not read by then is left out."""


@dataclass(frozen=True, slots=True)
class Spread:
    """What a topic's newest records say: how many were read, and the keys that came on several partitions."""

    topic: str
    records: int
    keys: int
    scattered: list[bytes]


async def spreads(settings: Settings) -> list[Spread]:
    """Look at the newest commands of each topic that is there and whose records are keyed. Raises Unavailable."""
    counts = await topics.partitions(settings)
    names = [name for topic in KEYED if (name := topic_name(settings.topic_prefix, topic)) in counts]
    with kafka.translated(settings):
        async with kafka.reading(settings) as reader:
            return [await _spread(settings, reader, name, counts[name]) for name in names]


async def _spread(settings: Settings, reader: kafka.AIOKafkaConsumer, topic: str, count: int) -> Spread:
    places = [kafka.TopicPartition(topic, number) for number in range(count)]
    begins = await kafka.bounded(reader.beginning_offsets(places), settings.kafka_seconds_max)
    ends = await kafka.bounded(reader.end_offsets(places), settings.kafka_seconds_max)
    newest = max(RECORDS_MAX // count, 1)
    ranges = {place: Range(max(begins[place], ends[place] - newest), ends[place]) for place in places}
    records, found = 0, defaultdict[bytes, set[int]](set)

    def take(place: kafka.TopicPartition, record: kafka.ConsumerRecord) -> None:
        nonlocal records
        records += 1
        if record.key is not None:
            found[record.key].add(place.partition)

    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SECONDS_MAX):
            await read(reader, ranges, take, SECONDS_MAX)
    return Spread(topic, records, len(found), sorted(key for key, partitions in found.items() if len(partitions) > 1))
