"""Transactions that producers have left open on topics of commands: what stands behind them can't be read."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from schemas.topics import topic_name
from worker.kafka import topics
from worker.kafka.clients import AIOKafkaConsumer, TopicPartition, abandon, bounded, explained, reader
from worker.kafka.facts import high_watermarks, is_leaderless
from worker.line.consume import CONSUMED
from worker.line.positions import offsets
from worker.settings import Settings

LOOK_AGAIN_SECONDS = 2.0
"""An open transaction is looked at twice, so much apart: most end within milliseconds."""
ANSWER_SECONDS_MAX = 2.5


@dataclass(frozen=True, slots=True)
class LeftOpen:
    """A partition's last stable offset, which stands still, and how many offsets lie between it and the log's end."""

    partition: TopicPartition
    offset: int
    records: int


async def left_open(settings: Settings, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep) -> list[LeftOpen]:
    """Where a transaction is open and does not end within two seconds. Raises Unavailable.

    Partitions that Kafka does not tell of in time are left out.
    """
    counts = await topics.partitions(settings)
    names = [name for topic in CONSUMED if (name := topic_name(settings.topic_prefix, topic)) in counts]
    places = [TopicPartition(name, number) for name in names for number in range(counts[name])]
    client = reader(settings)
    try:
        async with explained(settings):
            await bounded(client.start(), settings.kafka_seconds_max)
            client.assign(places)
            before = await _open(client, [place for place in places if not is_leaderless(client, place)])
            if not before:
                return []
            await sleep(LOOK_AGAIN_SECONDS)
            now = await _open(client, [one.partition for one in before])
    finally:
        await abandon(client.stop())
    offsets_before = {one.partition: one.offset for one in before}
    return [one for one in now if one.offset == offsets_before[one.partition]]


async def _open(client: AIOKafkaConsumer, places: Sequence[TopicPartition]) -> list[LeftOpen]:
    """Where the last stable offset is below the high watermark; asked for last, it has what ended meanwhile."""
    marks = await offsets(partial(high_watermarks, client), places, ANSWER_SECONDS_MAX)
    stable = await offsets(client.end_offsets, places, ANSWER_SECONDS_MAX)
    return [
        LeftOpen(place, stable[place], marks[place] - stable[place])
        for place in places
        if place in stable and place in marks and stable[place] < marks[place]
    ]
