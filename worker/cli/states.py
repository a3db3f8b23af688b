"""Reads the topic of states, as whoever comes later does."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import orjson

from schemas.state import SPEC
from schemas.topics import topic_name
from worker.kafka import topics
from worker.kafka.clients import TopicPartition, abandon, reader, translated
from worker.settings import Settings


async def states_of(settings: Settings, users: Sequence[str]) -> list[tuple[str, dict[str, Any] | None]]:
    """Each user's last record, in the order of the users; None for one who was forgotten or is not there."""
    name = topic_name(settings.topic_prefix, SPEC.topic)
    places = [TopicPartition(name, number) for number in range((await topics.partitions(settings))[name])]
    found: dict[str, dict[str, Any] | None] = {}
    consumer = reader(settings)
    try:
        with translated(settings):
            async with asyncio.timeout(settings.kafka_seconds_max):
                await consumer.start()
                consumer.assign(places)
                await consumer.seek_to_beginning(*places)
                ends = await consumer.end_offsets(places)
                while [place for place in places if await consumer.position(place) < ends[place]]:
                    for records in (await consumer.getmany(timeout_ms=200)).values():
                        found |= {one.key.decode(): one.value and orjson.loads(one.value) for one in records}
    finally:
        await abandon(consumer.stop())
    return [(user, found.get(user)) for user in users]
