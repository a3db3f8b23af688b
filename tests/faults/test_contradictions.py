"""Kafka and PostgreSQL contradict each other: the worker halts or refuses, names a command, and that mends it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest
from aiokafka.admin import RecordsToDelete

from schemas.topics import Topic, topic_name
from tests.conftest import make_settings
from tests.support.line import Line, line, working
from tests.support.topics import created_again
from tests.support.workers import Worker, workers
from worker import app, reset
from worker.errors import ConfigurationError, RelayHalted
from worker.kafka import clients as kafka
from worker.kafka import topics as kafka_topics
from worker.settings import Settings

COMMANDS = Topic.MEMBERSHIP_COMMANDS
SECONDS_MAX = 60


async def test_retention_has_removed_commands(settings: Settings, topics: list[str], tmp_path: Path) -> None:
    """The log begins after the position: that partition halts, the others go on, until a person decides."""
    name = topic_name(settings.topic_prefix, COMMANDS)
    async with workers(settings, 1, tmp_path) as (worker,), line(settings) as outside:
        await worker.start()
        await _register(outside, "before", 0)
        await worker.stop()
        for number in range(3):
            await outside.send("user.register", {"user_id": f"lost{number}"}, partition=0)
        async with kafka.admin(settings) as client:
            await client.delete_records({kafka.TopicPartition(name, 0): RecordsToDelete(before_offset=3)})
        await worker.start()
        problem = await _unready(worker)
        assert f"segmentation reset positions {name}:0 --to earliest" in problem
        await _register(outside, "elsewhere", 1)
        last = await outside.send("user.register", {"user_id": "after"}, partition=0)
        place = kafka.TopicPartition(name, 0)
        assert await reset.positions(settings, name, 0, "earliest") == [(place, 1, 3)]
        assert (await outside.outcome(last)).data["user_id"] == "after"
        await worker.ready()


async def test_two_deployments_on_one_database(settings: Settings, topics: list[str]) -> None:
    await app.check(settings)
    other = make_settings(settings.kafka_bootstrap_servers, settings.database_url.get_secret_value())
    await kafka_topics.ensure(other)
    with pytest.raises(ConfigurationError, match=r"belongs to another deployment: .*segmentation reset deployment"):
        await app.check(other)
    before, now = await reset.ownership(other)
    assert before is not None
    assert (before["topic_prefix"], now["topic_prefix"]) == (settings.topic_prefix, other.topic_prefix)
    await app.check(other)


async def test_kafka_has_lost_the_relays_position(settings: Settings, topics: list[str]) -> None:
    """PostgreSQL knows that more was published than Kafka holds: the relay refuses to guess."""
    async with line(settings) as outside:
        async with working(settings):
            await _register(outside, "first", 0)
        name = topic_name(settings.topic_prefix, Topic.RELAY_POSITIONS)
        await created_again(settings, name)
        with pytest.raises(RelayHalted, match="segmentation reset relay --to kafka"):
            await asyncio.wait_for(app.run(settings), SECONDS_MAX)
        assert await reset.relay(settings, "database") == (1, 1)
        async with working(settings):
            await _register(outside, "second", 0)
        assert [one.event["sequence"] for one in outside.said] == ["1", "2"]


async def test_the_database_was_restored(settings: Settings, topics: list[str]) -> None:
    """The journal ends before what Kafka holds: its numbers would be given out twice."""
    url = settings.database_url.get_secret_value()
    connection = await asyncpg.connect(url)
    try:
        async with line(settings) as outside:
            async with working(settings):
                await _register(outside, "first", 0)
            await connection.execute("update journal_head set sequence = 0; delete from journal")
            await connection.execute("update relay set published_sequence = 0")
            with pytest.raises(RelayHalted, match="restored to an earlier state"):
                await asyncio.wait_for(app.run(settings), SECONDS_MAX)
    finally:
        await connection.close()


async def _register(outside: Line, user: str, partition: int) -> None:
    said = await outside.ask("user.register", {"user_id": user}, partition=partition)
    assert said.data["user_id"] == user


async def _unready(worker: Worker) -> str:
    async with asyncio.timeout(SECONDS_MAX):
        while True:
            status, text = await worker.get("/readyz")
            if status == 503 and "segmentation reset" in text:
                return text
            await asyncio.sleep(0.1)
