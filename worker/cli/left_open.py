"""Transactions that producers have left open on topics of commands: what stands behind them can't be read."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from worker.cli.unread import command_places
from worker.kafka.clients import TopicPartition, bounded, explained, reading
from worker.kafka.undecided import Span, undecided, watch
from worker.settings import Settings

LOOK_AGAIN_SECONDS = 2.0
"""An open transaction is looked at twice, so much apart: most end within milliseconds."""


async def left_open(
    settings: Settings, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
) -> list[tuple[TopicPartition, Span]]:
    """Where a transaction is open and does not end within two seconds. Raises Unavailable.

    Partitions that Kafka does not tell of in time are left out.
    """
    places = await command_places(settings)
    async with explained(settings), reading(settings) as client:
        await bounded(watch(client, places), settings.kafka_seconds_max)
        before = (await undecided(client, places)).spans
        if not before:
            return []
        await sleep(LOOK_AGAIN_SECONDS)
        now = (await undecided(client, list(before))).spans
    return [(place, span) for place, span in now.items() if span.stable == before[place].stable]
