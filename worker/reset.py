"""Decisions that only a person may take: where to go on when Kafka and PostgreSQL contradict each other."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import NamedTuple
from uuid import UUID

from schemas.topics import Topic, topic_name
from worker import deployment
from worker.errors import ConfigurationError
from worker.journal import cursor
from worker.journal.cursor import last_cursor
from worker.journal.relay import Relay
from worker.kafka import topics
from worker.kafka.clients import (
    TopicPartition,
    abandon,
    bounded,
    explained,
    reader,
)
from worker.kafka.facts import described
from worker.line.consume import CONSUMED
from worker.line.positions import bounds
from worker.postgres import locks
from worker.postgres.session import Database, Session
from worker.settings import Settings


class Move(NamedTuple):
    """A partition's next offset before (None: it had none) and after."""

    partition: TopicPartition
    before: int | None
    after: int


async def positions(settings: Settings, topic: str, partition: int | None, to: str) -> list[Move]:
    """Go on reading a partition, or all of the topic's, from `earliest`, `latest` or an offset.

    A running worker notices. All are moved or none. Raises ConfigurationError for a partition or an offset that
    there is not, and Unavailable.
    """
    allowed = [topic_name(settings.topic_prefix, name) for name in CONSUMED]
    if topic not in allowed:
        raise ConfigurationError(f"{topic} is no topic of this deployment's commands: choose {' or '.join(allowed)}")
    topic_id, logs = await _logs(settings, topic, partition)
    offsets = {place: _offset(place, to, begin, end) for place, (begin, end) in logs.items()}
    moves = []
    async with _session(settings) as session, session.transaction():
        for place, offset in sorted(offsets.items()):
            row = await session.row("positions_reset", topic, place.partition, offset, topic_id)
            moves.append(Move(place, row["next_offset"], offset))
    return moves


def _offset(partition: TopicPartition, to: str, begin: int, end: int) -> int:
    match to:
        case "earliest":
            return begin
        case "latest":
            return end
        case _:
            offset = int(to)
    if not begin <= offset <= end:
        name = f"{partition.topic}:{partition.partition}"
        raise ConfigurationError(f"Kafka has the offsets {begin} to {end} of {name}; {offset} is outside")
    return offset


async def relay(settings: Settings, to: str) -> tuple[int, int]:
    """Go on publishing after what Kafka holds (`kafka`), after what PostgreSQL noted (`database`), or after a number.

    Returns the number that was noted and the one to go on after. Raises ConfigurationError while a worker runs.
    """
    topic = topic_name(settings.topic_prefix, Topic.RELAY_POSITIONS)
    is_there = topic in await topics.partitions(settings)
    if to == "kafka" and not is_there:
        raise ConfigurationError(f"Kafka lacks the topic {topic}: run `segmentation topics` first")
    async with _session(settings) as session:
        await _require_stopped(session)
        found = await cursor.places(session, await last_cursor(settings, topic) if is_there else None)
        async with session.transaction():
            sequence = await _chosen(session, found, to)
            await session.fetch("relay_reset", sequence)
    return found.noted, sequence


async def _chosen(session: Session, found: cursor.Places, to: str) -> int:
    """The number to go on after; what must change in the journal so that it can is changed."""
    match to:
        case "database":
            await session.fetch("journal_rename")  # events beyond may stand in Kafka, for rows that are lost
            return found.noted
        case "kafka":
            await session.fetch("journal_advance", found.committed.sequence)
            dropped = found.head if found.oldest is None else found.oldest - 1  # by retention: gone for good
            return max(found.committed.sequence, dropped)
        case _:
            sequence = int(to)
    if sequence > found.head:
        raise ConfigurationError(f"The journal's last number is {found.head}; {sequence} is after it")
    return sequence


async def ownership(settings: Settings) -> tuple[dict[str, str] | None, dict[str, str]]:
    """Give the database to the deployment that the settings describe; returns the one before and the one now.

    Raises ConfigurationError while a worker runs, since it would go on for the deployment before.
    """
    mine = await deployment.identity(settings)
    async with _session(settings) as session:
        await _require_stopped(session)
        rows = await session.fetch("deployment_take", *mine.values())
    return (dict(rows[0]) if rows else None), mine


async def _require_stopped(session: Session) -> None:
    """Some worker always leads the relay, so with its lock in hand none runs, and none can begin to publish."""
    if not await locks.lead(session, Relay.role):
        raise ConfigurationError("A worker runs on this database: stop all workers first")


async def _logs(
    settings: Settings, topic: str, partition: int | None
) -> tuple[UUID | None, dict[TopicPartition, tuple[int, int]]]:
    """The topic's id, and where the logs of the partition, or of all of them, begin and end."""
    consumer = reader(settings)
    try:
        async with explained(settings):
            await bounded(consumer.start(), settings.kafka_seconds_max)
        facts = (await described(consumer, settings, [topic])).get(topic)
        if facts is None:
            raise ConfigurationError(f"Kafka lacks the topic {topic}: run `segmentation topics` first")
        numbers = range(facts.partitions) if partition is None else [partition]
        if partition is not None and partition >= facts.partitions:
            raise ConfigurationError(f"Kafka has no partition {topic}:{partition}")
        places = [TopicPartition(topic, number) for number in numbers]
        begins, ends = await bounds(consumer, settings, places)
    finally:
        await abandon(consumer.stop())
    return facts.topic_id, {place: (begins[place], ends[place]) for place in places}


@contextlib.asynccontextmanager
async def _session(settings: Settings) -> AsyncIterator[Session]:
    session = Database(settings).session("reset")
    try:
        yield session
    finally:
        await session.close()
