"""From a command's sending to its visible event, at a steady rate."""

from __future__ import annotations

import asyncio
import json
import random
import time
from dataclasses import dataclass
from typing import Any

from benchmarks.world import USERS, World, command, worker
from schemas.envelope import STRUCTURED_HEADERS
from schemas.topics import Topic, topic_name
from worker.kafka import clients as kafka
from worker.kafka import topics
from worker.settings import Settings

COMMANDS_PER_SECOND = 200
WARM_UP_SECONDS = 5
READ_SECONDS_MAX = 120
BEGIN_ROLLOUT = """
update segments set percent = 100 where segment = 'segment-0';
insert into rollouts (segment_key, percent, on_decrease, last_user_key, requested_at)
select segment_key, percent, 'release', (select max(user_key) from users), now()
from segments where segment = 'segment-0'
"""


@dataclass(frozen=True, slots=True)
class Taken:
    """A command's way: when it was sent, by this process' clock, and the seconds to its event."""

    sent_at: float
    seconds: float


async def latency(world: World, seconds: int) -> dict[str, Any]:
    """Percentiles, ms, of `seconds` after a warm-up."""
    async with world.deployment() as settings, worker(world, settings):
        return percentiles(await measured(settings, seconds))


async def latency_beside_rollout(world: World, seconds: int) -> dict[str, Any]:
    """The same of the commands that were sent while a rollout of 100 % went over a million users."""
    async with world.deployment() as settings, worker(world, settings):
        database = settings.database_url.get_secret_value().rpartition("/")[2]
        measuring = asyncio.create_task(measured(settings, seconds))
        await asyncio.sleep(1 + WARM_UP_SECONDS)
        began = time.perf_counter()
        await world.execute(BEGIN_ROLLOUT, database)
        while await world.value("select count(*) from rollouts where finished_at is null", database):
            await asyncio.sleep(0.1)
        ended = time.perf_counter()
        taken = await measuring
    beside = [one for one in taken if began < one.sent_at < ended]
    return percentiles(beside) | {"rollout_per_second": round(USERS / (ended - began))}


def percentiles(taken: list[Taken]) -> dict[str, Any]:
    """Of these ways, ms."""
    measured = sorted(one.seconds for one in taken)
    return {
        "commands": len(measured),
        "commands_per_second": COMMANDS_PER_SECOND,
        **{f"p{share}_ms": round(measured[len(measured) * share // 100] * 1000, 1) for share in (50, 90, 99)},
        "max_ms": round(measured[-1] * 1000, 1),
    }


async def measured(settings: Settings, seconds: int) -> list[Taken]:
    """The ways of commands that are sent at a steady rate, but for those of the warm-up."""
    sent: dict[str, float] = {}
    count = (WARM_UP_SECONDS + seconds) * COMMANDS_PER_SECOND
    reading = asyncio.create_task(_read(settings, sent, count))
    await asyncio.sleep(1)
    await _send(settings, sent, count)
    taken = await asyncio.wait_for(reading, READ_SECONDS_MAX)
    return taken[WARM_UP_SECONDS * COMMANDS_PER_SECOND :]


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


async def _read(settings: Settings, sent: dict[str, float], count: int) -> list[Taken]:
    taken: list[Taken] = []
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
            causes = [json.loads(record.value).get("causationid") for record in records]
            times = [sent.pop(cause) for cause in causes if cause in sent]
            taken += [Taken(at, now - at) for at in times]
    await consumer.stop()
    return taken
