"""A service that keeps the states of a million users, from an empty folder and a warm one; beside a dict in memory."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any
from uuid import UUID
from zlib import crc32

from benchmarks.world import PARTITIONS, SEGMENTS, USERS, World
from schemas.state import encode_state, state_headers
from schemas.topics import Topic, topic_name
from worker.kafka import clients as kafka
from worker.kafka import topics
from worker.settings import Settings

SEGMENTS_OF_USER = 5
MANY_SEGMENTS = 10_000
TRANSACTION_RECORDS = 20_000
USER, SEGMENT, MANY = "user-%d", "segment-%d", "many"
SOURCE = "/segmentation"


async def memberships(world: World, rounds: int, say: Callable[[str], None], users: int = USERS) -> dict[str, Any]:
    """Both in turn."""
    settings = world.settings("filled", state_topic="on")
    names = await topics.ensure(settings)
    say(f"writing the states of {users:,} users")
    await write(settings, users)
    found: dict[str, Any] = {"store": [], "dict": []}
    for number in range(rounds):
        for how, runs in found.items():
            say(f"memberships, round {number + 1} of {rounds}: {how}")
            folder = world.folder / f"{how}-{number}"
            process = await world.process("keeper", ["-m", "benchmarks.keeper", how, str(folder), str(users)], settings)
            if await process.exit:
                raise RuntimeError(f"it has failed: {process.tail()}")
            runs.append(json.loads(process.tail().splitlines()[-1]))
    async with kafka.admin(settings) as client:
        await client.delete_topics(names)
    return found


async def write(settings: Settings, users: int) -> None:
    """The topic as the relay writes it: in transactions, a user's records in one partition."""
    topic = topic_name(settings.topic_prefix, Topic.MEMBERSHIPS)
    producer = kafka.transactional_producer(settings, f"{settings.topic_prefix}.bench")
    await producer.start()
    try:
        records = records_of_all(users)
        while batch := list(islice(records, TRANSACTION_RECORDS)):
            async with producer.transaction():
                await asyncio.gather(
                    *[
                        await producer.send(topic, value, key=key, partition=crc32(key) % PARTITIONS, headers=headers)
                        for key, value, headers in batch
                    ]
                )
    finally:
        await producer.stop()


def records_of_all(users: int) -> Iterator[tuple[bytes, bytes, list[tuple[str, bytes]]]]:
    """Key, value and headers for each user, in an order as users come: none."""
    chance, now = random.Random(1), datetime(2026, 6, 1, 12, 0, 0, 123456, tzinfo=UTC)
    ids = [str(UUID(int=chance.getrandbits(128), version=4)) for _ in range(MANY_SEGMENTS)]

    def item(segment: int, until: datetime | None) -> dict[str, Any]:
        named = {"segment": SEGMENT % segment, "segment_id": ids[segment]}
        return named | {"origin": "command", "since": now, "expires_at": until}

    order = [*range(users), -1]
    chance.shuffle(order)
    for sequence, number in enumerate(order, 1):
        user = USER % number if number >= 0 else MANY
        chosen = chance.sample(range(SEGMENTS), SEGMENTS_OF_USER) if number >= 0 else range(MANY_SEGMENTS)
        items = [item(segment, now.replace(year=2126) if segment % 2 else None) for segment in chosen]
        headers = [*state_headers(SOURCE, now, sequence), ("ce_id", b"%d" % sequence)]
        yield user.encode(), encode_state(user, sequence, items), headers
