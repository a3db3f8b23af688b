"""Where to go on in each partition: what PostgreSQL says, compared with what Kafka has."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import NamedTuple
from uuid import UUID

from worker.errors import Unavailable
from worker.kafka.clients import AIOKafkaConsumer, TopicPartition, translated
from worker.kafka.facts import OFFSETS_SECONDS_MAX, Offsets, described, is_leaderless, offsets, refresh_metadata
from worker.observability.logs import logger
from worker.postgres.session import Session
from worker.settings import Settings

log = logger(__name__)


class Position(NamedTuple):
    """A partition's epoch and next offset, of the topic with that id; or why it can't be read (`problem`)."""

    partition: TopicPartition
    epoch: int
    next_offset: int
    topic_id: UUID | None
    problem: str | None


async def acquire(
    session: Session, consumer: AIOKafkaConsumer, settings: Settings, partitions: Sequence[TopicPartition]
) -> list[Position]:
    """Make this worker the partitions' owner; whoever owned them before is fenced. Raises Unavailable.

    Partitions of which Kafka does not tell the offsets, as those without a leader, are left out.
    """
    ids = await topic_ids(consumer, settings, {p.topic for p in partitions})
    begins, ends = await bounds(consumer, settings, partitions)
    partitions = [partition for partition in partitions if partition in begins]
    topics, numbers = [p.topic for p in partitions], [p.partition for p in partitions]
    async with session.transaction():
        rows = await session.fetch("positions_acquire", topics, numbers, [ids[topic] for topic in topics])
        found = {TopicPartition(row["topic"], row["partition"]): row for row in rows}
        new = [partition for partition in partitions if found[partition]["next_offset"] is None]
        if new:
            await session.fetch(
                "positions_begin",
                [p.topic for p in new],
                [p.partition for p in new],
                [found[p]["epoch"] for p in new],
                [begins[p] for p in new],
            )
    result = []
    for partition in partitions:
        row, topic_id = found[partition], ids[partition.topic]
        at = begins[partition] if row["next_offset"] is None else row["next_offset"]
        problem = compare(partition, row["topic_id"], topic_id) or judge(
            partition, at, begins[partition], ends[partition]
        )
        result.append(Position(partition, row["epoch"], at, topic_id, problem))
    return result


async def topic_ids(consumer: AIOKafkaConsumer, settings: Settings, topics: Collection[str]) -> dict[str, UUID | None]:
    """The topics' ids in this cluster; None for each where the brokers know of none. Raises Unavailable."""
    found = await described(consumer, settings, topics)
    missing = sorted(set(topics) - found.keys())
    if missing:
        raise Unavailable(f"Kafka at {settings.kafka_bootstrap_servers} lacks the topics {', '.join(missing)}")
    return {topic: facts.topic_id for topic, facts in found.items()}


async def bounds(
    consumer: AIOKafkaConsumer, settings: Settings, partitions: Sequence[TopicPartition]
) -> tuple[Offsets, Offsets]:
    """The first offset that Kafka still has, and the one after the last that can be read, by partition.

    Partitions that Kafka does not answer for are left out; raises Unavailable if it answers for none of them.
    """
    seconds = min(OFFSETS_SECONDS_MAX, settings.kafka_seconds_max)
    asked = [partition for partition in partitions if not is_leaderless(consumer, partition)]
    if len(asked) < len(partitions):
        refresh_metadata(consumer)
    with translated(settings):
        begins, ends = await asyncio.gather(
            offsets(consumer.beginning_offsets, asked, seconds), offsets(consumer.end_offsets, asked, seconds)
        )
    known = begins.keys() & ends.keys()
    missing = sorted(set(partitions) - known)
    if missing:
        names = ", ".join(f"{partition.topic}:{partition.partition}" for partition in missing)
        if not known:
            raise Unavailable(f"Kafka does not tell the offsets of {names}")
        log.warning("Kafka does not tell the offsets of some partitions, trying again", partitions=names)
    return {partition: begins[partition] for partition in known}, {partition: ends[partition] for partition in known}


def compare(partition: TopicPartition, stored: UUID | None, topic_id: UUID | None) -> str | None:
    """Why the position is of no use, with the command that mends it; None if it belongs to this very topic.

    A topic that was created again may be longer than the one before, so the offset alone does not tell.
    """
    if stored is None or topic_id is None or stored == topic_id:
        return None
    return (
        f"{partition.topic}:{partition.partition}: the topic was deleted and created again, so what was applied of the "
        f"one before says nothing about this one. To read it from its beginning: "
        f"`segmentation reset positions {partition.topic} --to earliest`; to skip what it holds: `--to latest`"
    )


def judge(partition: TopicPartition, position: int, begin: int, end: int) -> str | None:
    """Why the log does not hold the next offset, with the command that fixes it; None if it does."""
    name = f"{partition.topic}:{partition.partition}"
    if position < begin:
        return (
            f"{name}: the next command is at offset {position}, but Kafka's log begins at {begin}: retention removed "
            f"commands before they were applied. To go on with what is left: "
            f"`segmentation reset positions {name} --to earliest`"
        )
    if position > end:
        return (
            f"{name}: the next command is at offset {position}, but Kafka's log ends at {end}: Kafka "
            f"has lost data. To read it from its beginning: "
            f"`segmentation reset positions {name} --to earliest`; to skip what it holds: `--to latest`"
        )
    return None
