"""What `doctor` says of transactions that a producer has left open on a topic of commands."""

from __future__ import annotations

from uuid import uuid4

import pytest

from schemas.producer import new_command
from schemas.topics import Topic
from tests.support.line import Line, line
from worker.cli import doctor, left_open
from worker.cli.doctor import _transactions as look
from worker.kafka import clients as kafka
from worker.settings import Settings

TOPIC = Topic.MEMBERSHIP_COMMANDS
WELL = "none was left open on a topic of commands"


async def test_a_transaction_that_was_left_open(
    settings: Settings, topics: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named with its place and with what waits behind it, until it ends."""
    monkeypatch.setattr(left_open, "LOOK_AGAIN_SECONDS", 0.1)
    async with line(settings) as outside:
        await outside.send("user.register", {"user_id": "before"}, partition=1)
        producer = await _opened(outside, 1)
        for number in range(3):
            await outside.send("user.register", {"user_id": f"behind-{number}"}, partition=1)
        (found,) = await look(settings)
        assert not found.is_good
        topic = outside.topic(TOPIC)
        assert f"on {topic}:1, from offset 1 on; records that wait for its end, its own among them: 4" in found.message
        assert f"abort --topic {topic} --partition 1 --start-offset 1`" in found.message
        await producer.commit_transaction()
        await kafka.abandon(producer.stop())
        (well,) = await look(settings)
        assert (well.is_good, well.message) == (True, WELL)
    assert doctor.CHECKS["transactions"] is look


async def test_one_that_ends_by_itself(settings: Settings, topics: list[str]) -> None:
    """It is under way and not left open: at the second look it is gone, or another one is."""
    async with line(settings) as outside:
        first = await _opened(outside, 0)
        second: list[kafka.AIOKafkaProducer] = []

        async def pause(_: float) -> None:
            await first.commit_transaction()
            second.append(await _opened(outside, 0))

        assert await left_open.left_open(settings, pause) == []
        await second[0].abort_transaction()
        for producer in (first, *second):
            await kafka.abandon(producer.stop())


async def _opened(outside: Line, partition: int) -> kafka.AIOKafkaProducer:
    """A producer with a command in a transaction that is open."""
    producer = kafka.transactional_producer(outside.settings, f"{outside.settings.topic_prefix}-{uuid4().hex}")
    await producer.start()
    await producer.begin_transaction()
    made = new_command("user.register", {"user_id": "open"}, source="/tests")
    await producer.send_and_wait(outside.topic(TOPIC), made.value, key=made.key, partition=partition)
    return producer
