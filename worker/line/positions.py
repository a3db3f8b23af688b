"""Where to go on in each partition: PostgreSQL's word, compared with what Kafka has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from worker.errors import Unavailable
from worker.kafka.clients import (
    AIOKafkaConsumer,
    TopicPartition,
    bounded,
    translated,
)
from worker.postgres.session import Session
from worker.settings import Settings


class Position(NamedTuple):
    """A partition's epoch and next offset, or why it can't be read (`problem`)."""

    partition: TopicPartition
    epoch: int
    next_offset: int
    problem: str | None


async def acquire(
    session: Session, consumer: AIOKafkaConsumer, settings: Settings, partitions: Sequence[TopicPartition]
) -> list[Position]:
    """Make this worker the partitions' owner; whoever owned them before is fenced. Raises Unavailable."""
    begins, ends = await bounds(consumer, settings, partitions)
    topics, numbers = [p.topic for p in partitions], [p.partition for p in partitions]
    async with session.transaction():
        rows = await session.fetch("positions_acquire", topics, numbers)
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
        stored = found[partition]["next_offset"]
        at = begins[partition] if stored is None else stored
        problem = judge(partition, at, begins[partition], ends[partition])
        result.append(Position(partition, found[partition]["epoch"], at, problem))
    return result


async def bounds(
    consumer: AIOKafkaConsumer, settings: Settings, partitions: Sequence[TopicPartition]
) -> tuple[dict[TopicPartition, int], dict[TopicPartition, int]]:
    """The first offset that Kafka still has, and the one after the last that can be read, by partition."""
    with translated(settings):
        begins = await bounded(consumer.beginning_offsets(partitions), settings.kafka_seconds_max)
        ends = await bounded(consumer.end_offsets(partitions), settings.kafka_seconds_max)
    if len(begins) != len(partitions) or len(ends) != len(partitions):
        raise Unavailable("Kafka did not tell the offsets of all partitions")
    return begins, ends


def judge(partition: TopicPartition, position: int, begin: int, end: int) -> str | None:
    """Why the log does not hold what comes next, with the command that mends it; None if all is well."""
    name = f"{partition.topic}:{partition.partition}"
    if position < begin:
        return (
            f"{name}: the next command is at offset {position}, but Kafka's log begins at {begin}: retention removed "
            f"commands before they were applied. To go on with what is left: "
            f"`segmentation reset positions {name} --to earliest`"
        )
    if position > end:
        return (
            f"{name}: the next command is at offset {position}, but Kafka's log ends at {end}: the topic was created "
            f"again, or Kafka lost data. To read it from its beginning: "
            f"`segmentation reset positions {name} --to earliest`; to skip what it holds: `--to latest`"
        )
    return None
