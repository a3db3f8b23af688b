"""What only a person may decide: where to go on when Kafka and PostgreSQL contradict each other."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Literal

from schemas.topics import Topic, topic_name
from worker import deployment
from worker.errors import ConfigurationError
from worker.journal.relay import Relay, last_cursor
from worker.kafka import topics
from worker.kafka.clients import (
    TopicPartition,
    abandon,
    bounded,
    reader,
    translated,
)
from worker.leadership.election import LOCK_CLASS
from worker.line.consume import CONSUMED
from worker.postgres.session import Database, Session
from worker.settings import Settings


async def positions(settings: Settings, topic: str, partition: int, to: str) -> tuple[int | None, int]:
    """Go on reading a partition from `earliest`, `latest` or an offset; a running worker takes notice.

    Returns the next offset before and after. Raises ConfigurationError for a partition that there is not.
    """
    allowed = [topic_name(settings.topic_prefix, name) for name in CONSUMED]
    if topic not in allowed:
        raise ConfigurationError(f"{topic} is no topic of this deployment's commands: choose {' or '.join(allowed)}")
    begin, end = await _bounds(settings, TopicPartition(topic, partition))
    match to:
        case "earliest":
            offset = begin
        case "latest":
            offset = end
        case _:
            offset = int(to)
    if not begin <= offset <= end:
        raise ConfigurationError(f"Kafka has the offsets {begin} to {end} of {topic}:{partition}; {offset} is outside")
    async with _session(settings) as session:
        row = await session.row("positions_reset", topic, partition, offset)
    return row["next_offset"], offset


async def relay(settings: Settings, to: Literal["kafka", "database"]) -> tuple[int, int]:
    """Go on publishing after the sequence that Kafka holds, or after the one that PostgreSQL noted.

    Returns the noted sequence and the one to go on after. Raises ConfigurationError while a worker runs.
    """
    async with _session(settings) as session:
        await _require_stopped(session)
        noted: int = (await session.row("relay_read"))["published_sequence"]
        if to == "database":
            await session.fetch("relay_reset", noted, noted)
            return noted, noted
        topic = topic_name(settings.topic_prefix, Topic.RELAY_POSITIONS)
        if topic not in await topics.partitions(settings):
            raise ConfigurationError(f"Kafka lacks the topic {topic}: run `segmentation topics` first")
        sequence = await last_cursor(settings, topic) or 0
        await session.fetch("relay_reset", sequence, None)
        return noted, sequence


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
    if not (await session.row("election_try", LOCK_CLASS, Relay.lock))["leads"]:
        raise ConfigurationError("A worker runs on this database: stop all workers first")


async def _bounds(settings: Settings, partition: TopicPartition) -> tuple[int, int]:
    if not 0 <= partition.partition < (await topics.partitions(settings)).get(partition.topic, 0):
        raise ConfigurationError(f"Kafka has no partition {partition.topic}:{partition.partition}")
    consumer = reader(settings)
    with translated(settings):
        try:
            await bounded(consumer.start(), settings.kafka_seconds_max)
            begins = await bounded(consumer.beginning_offsets([partition]), settings.kafka_seconds_max)
            ends = await bounded(consumer.end_offsets([partition]), settings.kafka_seconds_max)
        finally:
            await abandon(consumer.stop())
    return begins[partition], ends[partition]


@contextlib.asynccontextmanager
async def _session(settings: Settings) -> AsyncIterator[Session]:
    session = Database(settings).session("reset")
    try:
        yield session
    finally:
        await session.close()
