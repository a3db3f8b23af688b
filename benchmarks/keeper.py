"""A service that keeps the topic of states: in `schemas.reader`'s store, or in a dict, which is the limit.

`python -m benchmarks.keeper store|dict FOLDER USERS`; prints a JSON line.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import resource
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import orjson

from benchmarks.memberships import MANY, SEGMENT, USER
from benchmarks.world import SEGMENTS
from schemas.reader import Memberships
from schemas.topics import Topic, topic_name
from worker.kafka import clients as kafka
from worker.kafka import topics
from worker.settings import Settings, load

LOOKUPS = 100_000
LOOKUPS_MANY = 2_000


@contextlib.asynccontextmanager
async def assigned(settings: Settings) -> AsyncIterator[tuple[kafka.AIOKafkaConsumer, list[kafka.TopicPartition]]]:
    """A consumer that has all of the topic's partitions, at their beginnings."""
    name = topic_name(settings.topic_prefix, Topic.MEMBERSHIPS)
    places = [kafka.TopicPartition(name, number) for number in range((await topics.partitions(settings))[name])]
    consumer = kafka.reader(settings, max_partition_fetch_bytes=1024 * 1024)
    await consumer.start()
    try:
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        yield consumer, places
    finally:
        await consumer.stop()


@contextlib.asynccontextmanager
async def asking(settings: Settings) -> AsyncIterator[kafka.AIOKafkaConsumer]:
    """A client that is told of uncommitted records."""
    client = kafka.reader(settings, isolation_level="read_uncommitted")
    await client.start()
    try:
        yield client
    finally:
        await client.stop()


async def store_filled(settings: Settings, folder: Path) -> float:
    """Open the folder and bring it to the present; returns the seconds."""
    began = time.perf_counter()
    async with assigned(settings) as (consumer, places), asking(settings) as other:
        with Memberships.open(folder) as memberships:
            beginnings = await consumer.beginning_offsets(places)
            sought = await memberships.begin(beginnings, lambda: other.end_offsets(places))
            for place, offset in sought.items():
                consumer.seek(place, offset)

            async def follow() -> None:
                while True:
                    records = await consumer.getmany(timeout_ms=100)
                    await memberships.take(records, {one: await consumer.position(one) for one in places})

            following = asyncio.create_task(follow())
            await memberships.ready()
            took = time.perf_counter() - began
            following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await following
    return took


async def dict_filled(settings: Settings) -> tuple[float, dict[str, frozenset[str]]]:
    """Read all states into a dict; returns the seconds, too."""
    began, kept = time.perf_counter(), dict[str, frozenset[str]]()
    async with assigned(settings) as (consumer, places):
        ends = await consumer.end_offsets(places)
        while any([await consumer.position(place) < ends[place] for place in places]):
            for records in (await consumer.getmany(timeout_ms=100)).values():
                for record in records:
                    state = orjson.loads(record.value)
                    kept[state["user_id"]] = frozenset([sys.intern(item["segment"]) for item in state["segments"]])
    return time.perf_counter() - began, kept


def timed(look: Callable[[str, str], object], users: list[str], segment: str) -> float:
    """Microseconds of a lookup, on average."""
    began = time.perf_counter()
    for user in users:
        look(user, segment)
    return round((time.perf_counter() - began) / len(users) * 1_000_000, 2)


def lookups(segments_of: Callable[[str], object], is_in: Callable[[str, str], bool], count: int) -> dict[str, float]:
    """Of random users, and of the one in many segments."""
    chance = random.Random(7)
    users = [USER % chance.randrange(count) for _ in range(LOOKUPS)]
    segment = SEGMENT % (SEGMENTS // 2)
    assert is_in(MANY, segment)
    return {
        "segments_of_us": timed(lambda user, _: segments_of(user), users, segment),
        "is_in_us": timed(is_in, users, segment),
        "many_segments_of_us": timed(lambda user, _: segments_of(user), [MANY] * LOOKUPS_MANY, segment),
        "many_is_in_us": timed(is_in, [MANY] * LOOKUPS_MANY, segment),
    }


async def main(how: str, folder: Path, users: int) -> None:
    """Measure one of them."""
    settings, found = load(), dict[str, Any]()
    if how == "dict":
        found["cold_seconds"], kept = await dict_filled(settings)
        found |= lookups(kept.__getitem__, lambda user, segment: segment in kept[user], users)
    else:
        found["cold_seconds"] = await store_filled(settings, folder)
        found["warm_seconds"] = await store_filled(settings, folder)
        with Memberships.open(folder) as memberships:
            found |= lookups(memberships.segments_of, memberships.is_in, users)
        found["disk_mib"] = sum(path.stat().st_size for path in folder.iterdir()) // 2**20
    found["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    found["cpu_seconds"] = time.process_time()
    print(json.dumps({name: round(value, 2) for name, value in found.items()}))


asyncio.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
