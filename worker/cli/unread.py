"""Commands that nobody reads: what waits behind the positions while no worker is in the group."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from schemas.topics import topic_name
from worker.kafka import topics
from worker.kafka.clients import AIOKafkaConsumer, TopicPartition, reading, translated
from worker.line.consume import CONSUMED
from worker.line.positions import bounds
from worker.postgres.session import Database
from worker.settings import Settings

READ_SECONDS_MAX = 5.0
"""So long the first records that wait are read for; what did not come by then is left out."""


@dataclass(frozen=True, slots=True)
class Unread:
    """What waits in a topic: about how many commands, and for how long the first of them has (None: not looked at)."""

    topic: str
    records: int
    seconds: float | None = None


async def waiting(settings: Settings, *, with_age: bool) -> list[Unread]:
    """What waits in each topic of commands where something does. Raises Unavailable.

    A look at offsets alone counts transaction markers and the like, too; with the age the records themselves are read.
    """
    places = await command_places(settings)
    if not places:
        return []
    positions = await _positions(settings, sorted({place.topic for place in places}))
    with translated(settings):
        async with reading(settings) as client:
            client.assign(places)
            begins, ends = await bounds(client, settings, places)
            left = {place: max(positions.get(place, 0), begin) for place, begin in begins.items()}
            left = {place: at for place, at in left.items() if at < ends[place]}
            ages = await _ages(client, left, ends) if with_age else dict.fromkeys(left)
    return _by_topic({place: ends[place] - left[place] for place in ages}, ages)


async def command_places(settings: Settings) -> list[TopicPartition]:
    """All partitions of the topics of commands that there are. Raises Unavailable."""
    counts = await topics.partitions(settings)
    names = [name for topic in CONSUMED if (name := topic_name(settings.topic_prefix, topic)) in counts]
    return [TopicPartition(name, number) for name in names for number in range(counts[name])]


async def _positions(settings: Settings, names: list[str]) -> dict[TopicPartition, int]:
    session = Database(settings).session("doctor")
    try:
        rows = await session.fetch("positions_read", names)
    finally:
        await session.close()
    return {TopicPartition(row["topic"], row["partition"]): row["next_offset"] for row in rows}


async def _ages(
    client: AIOKafkaConsumer, left: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
) -> dict[TopicPartition, float | None]:
    """How long the first record of each has been there, seconds; nothing for those that hold none."""
    client.assign(list(left))
    for place, at in left.items():
        client.seek(place, at)
    found: dict[TopicPartition, float | None] = {}
    asked, loop = set(left), asyncio.get_running_loop()
    deadline = loop.time() + READ_SECONDS_MAX
    while asked and loop.time() < deadline:
        for place, records in (await client.getmany(*asked, timeout_ms=200)).items():
            found[place] = time.time() - records[0].timestamp / 1000
        asked = {place for place in asked - found.keys() if await client.position(place) < ends[place]}
    return found


def _by_topic(records: Mapping[TopicPartition, int], ages: Mapping[TopicPartition, float | None]) -> list[Unread]:
    places = defaultdict(list)
    for place in records:
        places[place.topic].append(place)
    return [
        Unread(
            topic,
            sum(records[place] for place in its),
            max((age for place in its if (age := ages[place]) is not None), default=None),
        )
        for topic, its in sorted(places.items())
    ]
