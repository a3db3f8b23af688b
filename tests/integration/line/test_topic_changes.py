"""Topics of commands that are deleted, created again or given partitions, at a start and under a running worker."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka.admin import NewPartitions, RecordsToDelete

from schemas.topics import Topic
from tests.support.events import rows
from tests.support.line import Line, line, working
from tests.support.pages import ready, shows, with_pages
from tests.support.topics import created_again, deleted
from worker import reset
from worker.kafka import clients as kafka
from worker.kafka import topics as kafka_topics
from worker.line import consume, topic_watch
from worker.settings import Settings

TOPIC = Topic.MEMBERSHIP_COMMANDS


@pytest.fixture
def quick(settings: Settings, topics: list[str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A worker with pages, which looks as often as it can."""
    monkeypatch.setattr(consume, "HALTED_SECONDS", 0.0)
    monkeypatch.setattr(topic_watch, "LOOK_SECONDS", 0.05)
    return with_pages(settings)


async def test_created_again_while_no_worker_ran(quick: Settings) -> None:
    """The new log is longer than the old position: none of its commands is skipped, and none applied unasked."""
    async with line(quick) as outside:
        async with working(quick):
            await _registered(outside, "before", 3)
        await created_again(quick, outside.topic(TOPIC))
        sent = await _sent(outside, "after", 5)
        async with working(quick):
            await _halts(quick, outside.topic(TOPIC))
            assert await _users(quick) == ["before0", "before1", "before2"]
            await reset.positions(quick, outside.topic(TOPIC), None, "earliest")
            for command in sent:
                await outside.outcome(command)
            await ready(quick)


async def test_created_again_under_a_running_worker(quick: Settings) -> None:
    """Whatever of the new log was applied before the worker noticed is not applied again."""
    async with line(quick) as outside, working(quick):
        await ready(quick)
        await _registered(outside, "before", 3)
        await created_again(quick, outside.topic(TOPIC))
        sent = await _sent(outside, "after", 5)
        await _halts(quick, outside.topic(TOPIC))
        moves = await reset.positions(quick, outside.topic(TOPIC), None, "earliest")
        assert [move.after for move in moves] == [0, 0, 0]
        for command in sent:
            await outside.outcome(command)
        await ready(quick)
        said = await outside.settled()
        assert len({one.event["id"] for one in said}) == len(said) == 8


async def test_created_again_before_anything_was_applied(quick: Settings) -> None:
    """Nothing can be skipped, so nobody is asked."""
    async with line(quick) as outside:
        async with working(quick):
            await ready(quick)
        await created_again(quick, outside.topic(TOPIC))
        async with working(quick):
            await ready(quick)
            await _registered(outside, "first", 1)


async def test_retention_has_removed_what_was_applied(quick: Settings) -> None:
    """The last command that was applied is gone: the position still belongs to this topic."""
    async with line(quick) as outside:
        async with working(quick):
            await _registered(outside, "before", 3)
        async with kafka.admin(quick) as client:
            place = kafka.TopicPartition(outside.topic(TOPIC), 0)
            await client.delete_records({place: RecordsToDelete(before_offset=3)})
        async with working(quick):
            await _registered(outside, "after", 2)


async def test_positions_of_the_version_before(quick: Settings) -> None:
    """They know of no topic's id: the one that is there now is theirs."""
    async with line(quick) as outside:
        async with working(quick):
            await _registered(outside, "before", 1)
        await rows(quick, "update positions set topic_id = null returning 1")
        async with working(quick):
            await _registered(outside, "after", 1)
        assert await rows(quick, "select 1 from positions where topic_id is null") == []


async def test_deleted_under_a_running_worker(quick: Settings) -> None:
    """It says which one is missing, and goes on with it once it is there."""
    async with line(quick) as outside, working(quick):
        await ready(quick)
        await deleted(quick, outside.topic(TOPIC))
        await shows(quick, "/readyz", lambda status, text: status == 503 and "lacks the topics" in text)
        await kafka_topics.ensure(quick)
        await ready(quick)
        await _registered(outside, "after", 1)


async def test_partitions_that_are_added_are_read(quick: Settings) -> None:
    async with line(quick) as outside, working(quick):
        await ready(quick)
        async with kafka.admin(quick) as client:
            await client.create_partitions({outside.topic(TOPIC): NewPartitions(total_count=5)})
        async with asyncio.timeout(30):
            while (await kafka_topics.partitions(quick)).get(outside.topic(TOPIC)) != 5:
                pass
        await outside.producer.client.force_metadata_update()
        said = await outside.ask("user.register", {"user_id": "there"}, partition=4)
        assert said.data["user_id"] == "there"


async def _sent(outside: Line, name: str, count: int) -> list[str]:
    return [await outside.send("user.register", {"user_id": f"{name}{n}"}, partition=0) for n in range(count)]


async def _registered(outside: Line, name: str, count: int) -> None:
    for command in await _sent(outside, name, count):
        await outside.outcome(command)


async def _halts(settings: Settings, topic: str) -> None:
    command = f"segmentation reset positions {topic} --to earliest"
    await shows(settings, "/readyz", lambda status, text: status == 503 and command in text)


async def _users(settings: Settings) -> list[str]:
    return [row["user_id"] for row in await rows(settings, "select user_id from users order by 1")]
