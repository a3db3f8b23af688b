"""Transactions that producers have left open on topics of commands: what stands behind them can't be read."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from schemas.topics import topic_name
from worker.kafka import topics
from worker.kafka.clients import TopicPartition, abandon, bounded, explained, reader
from worker.kafka.undecided import undecided, watch
from worker.line.consume import CONSUMED
from worker.settings import Settings

LOOK_AGAIN_SECONDS = 2.0
"""An open transaction is looked at twice, so much apart: most end within milliseconds."""


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
            await bounded(watch(client, places), settings.kafka_seconds_max)
            before = (await undecided(client, places)).spans
            if not before:
                return []
            await sleep(LOOK_AGAIN_SECONDS)
            now = (await undecided(client, list(before))).spans
    finally:
        await abandon(client.stop())
    return [
        LeftOpen(place, span.stable, span.end - span.stable)
        for place, span in now.items()
        if span.stable == before[place].stable
    ]
