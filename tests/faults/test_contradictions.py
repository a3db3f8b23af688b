"""Kafka and PostgreSQL contradict each other: the worker halts or refuses, names a command, and that mends it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
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
from worker.postgres import locks
from worker.postgres.session import Database
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
            with pytest.raises(RelayHalted, match=r"ends at 0: the database was restored .* reset relay --to kafka"):
                await asyncio.wait_for(app.run(settings), SECONDS_MAX)
            assert await reset.relay(settings, "kafka") == (0, 1)
            async with working(settings):
                await _register(outside, "second", 0)
            assert [one.event["sequence"] for one in outside.said] == ["1", "2"]
    finally:
        await connection.close()


async def test_the_database_was_restored_while_commands_wait(settings: Settings, topics: list[str]) -> None:
    """They are applied before any worker is the relay again: the journal is then longer than what Kafka holds."""
    holder = Database(settings).session("holder")
    async with _connected(settings) as connection, line(settings) as outside:
        async with working(settings):
            await _register(outside, "first", 0)
        await connection.execute("update journal_head set sequence = 0; delete from journal")
        await connection.execute("update relay set published_sequence = 0")
        for number in range(3):
            await outside.send("user.register", {"user_id": f"waiting{number}"}, partition=0)
        while not await locks.lead(holder, locks.Role.RELAY):
            await asyncio.sleep(0.05)
        running = asyncio.create_task(app.run(settings))
        async with asyncio.timeout(SECONDS_MAX):
            while await connection.fetchval("select sequence from journal_head") < 3:
                await asyncio.wait({running}, timeout=0.05)
                assert not running.done()
            await holder.close()
            with pytest.raises(RelayHalted, match="row 1 is not the one"):
                await running
        assert len(outside.said) == 1


@pytest.mark.parametrize(
    ("to", "goes_on_after", "said"), [("kafka", 2, ["1", "2", "3"]), ("database", 1, ["1", "2", "2", "3"])]
)
async def test_a_replica_without_the_last_rows_took_over(
    settings: Settings, topics: list[str], to: str, goes_on_after: int, said: list[str]
) -> None:
    """It has given their numbers out again: without a look at more than the number that would go unnoticed."""
    async with _connected(settings) as connection, line(settings) as outside:
        async with working(settings):
            await _register(outside, "first", 0)
            await _register(outside, "lost", 0)
        await connection.execute("update journal set time = now(), user_id = 'other' where sequence = 2")
        await connection.execute("update relay set published_sequence = 1")
        with pytest.raises(RelayHalted, match=r"row 2 is not the one .* after 2, .* --to database` goes on after 1"):
            await asyncio.wait_for(app.run(settings), SECONDS_MAX)
        assert await reset.relay(settings, to) == (1, goes_on_after)
        async with working(settings):
            await _register(outside, "next", 0)
    assert [one.event["sequence"] for one in outside.said] == said
    assert len({one.event["id"] for one in outside.said}) == len(said)


async def test_what_kafka_lost_was_dropped_by_retention(settings: Settings, topics: list[str]) -> None:
    """What the journal still has is published again; what retention has dropped can't be, and stops nothing."""
    async with _connected(settings) as connection, line(settings) as outside:
        async with working(settings):
            for number in range(3):
                await _register(outside, f"u{number}", 0)
        name = topic_name(settings.topic_prefix, Topic.RELAY_POSITIONS)
        async with kafka.admin(settings) as client:
            await client.delete_topics([name])
        await created_again(settings, name)
        await connection.execute("delete from journal where sequence <= 2")
        assert await reset.relay(settings, "kafka") == (3, 2)
        async with working(settings):
            await outside.until(lambda said: len(said) == 4)
        assert [one.event["sequence"] for one in outside.said] == ["1", "2", "3", "3"]
        await connection.execute("delete from journal; update relay set restart_at = 0")
        await outside.send("user.register", {"user_id": "after"}, partition=0)
        with pytest.raises(RelayHalted, match=r"rows 1 to 3 are gone: retention has dropped"):
            await asyncio.wait_for(app.run(settings), SECONDS_MAX)


async def test_rows_were_deleted_by_hand(settings: Settings, topics: list[str]) -> None:
    """Older ones are there, so it was not retention; a person says that it goes on without them."""
    async with _connected(settings) as connection, line(settings) as outside:
        async with working(settings):
            for number in range(4):
                await _register(outside, f"u{number}", 0)
        await connection.execute("delete from journal where sequence in (2, 3); update relay set restart_at = 1")
        with pytest.raises(RelayHalted, match=r"rows 2 to 3 are missing, .* `segmentation reset relay --to 3`"):
            await asyncio.wait_for(app.run(settings), SECONDS_MAX)
        with pytest.raises(ConfigurationError, match="last number is 4; 5 is after it"):
            await reset.relay(settings, "5")
        await reset.relay(settings, "3")
        async with working(settings):
            await outside.until(lambda said: len(said) == 5)


@contextlib.asynccontextmanager
async def _connected(settings: Settings) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    try:
        yield connection
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
