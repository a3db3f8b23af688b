"""From a command's sending to its visible event, at a steady rate."""

from __future__ import annotations

import asyncio
import json
import random
import time
from typing import Any

from benchmarks.world import World, command, worker
from schemas.envelope import STRUCTURED_HEADERS
from schemas.topics import Topic, topic_name
from worker import kafka, topics
from worker.settings import Settings

COMMANDS_PER_SECOND = 200
WARM_UP_SECONDS = 5


async def latency(world: World, seconds: int) -> dict[str, Any]:
    """Percentiles, ms, of `seconds` after a warm-up."""
    async with world.deployment() as settings, worker(world, settings):
        sent: dict[str, float] = {}
        taken: list[float] = []
        count = (WARM_UP_SECONDS + seconds) * COMMANDS_PER_SECOND
        reading = asyncio.create_task(_read(settings, sent, taken, count))
        await asyncio.sleep(1)
        await _send(settings, sent, count)
        await asyncio.wait_for(reading, 60)
    measured = sorted(taken[WARM_UP_SECONDS * COMMANDS_PER_SECOND :])
    return {
        "commands": len(measured),
        "commands_per_second": COMMANDS_PER_SECOND,
        **{f"p{share}_ms": round(measured[len(measured) * share // 100] * 1000, 1) for share in (50, 90, 99)},
        "max_ms": round(measured[-1] * 1000, 1),
    }


async def _send(settings: Settings, sent: dict[str, float], count: int) -> None:
    chance = random.Random(7)
    producer = kafka.producer(settings)
    topic = topic_name(settings.topic_prefix, Topic.MEMBERSHIP_COMMANDS)
    await producer.start()
    began = time.perf_counter()
    for number in range(count):
        await asyncio.sleep(max(0.0, began + number / COMMANDS_PER_SECOND - time.perf_counter()))
        user, value = command(chance)
        sent[json.loads(value)["id"]] = time.perf_counter()
        await producer.send(topic, value, key=user, headers=list(STRUCTURED_HEADERS))
    await producer.stop()


async def _read(settings: Settings, sent: dict[str, float], taken: list[float], count: int) -> None:
    name = topic_name(settings.topic_prefix, Topic.MEMBERSHIP_EVENTS)
    partitions = (await topics.partitions(settings))[name]
    consumer = kafka.reader(settings)
    await consumer.start()
    consumer.assign([kafka.TopicPartition(name, number) for number in range(partitions)])
    await consumer.seek_to_end()
    while len(taken) < count:
        polled = await consumer.getmany(timeout_ms=1000)
        now = time.perf_counter()
        for records in polled.values():
            taken += [now - sent.pop(json.loads(record.value)["causationid"]) for record in records]
    await consumer.stop()
