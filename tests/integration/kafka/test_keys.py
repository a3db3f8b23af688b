"""What `doctor` says of keys whose commands come on several partitions."""

from __future__ import annotations

from uuid import uuid4

import pytest
from aiokafka.partitioner import DefaultPartitioner

from schemas.topics import Topic
from tests.support.line import Line, line, working
from worker.cli import doctor
from worker.kafka import keys
from worker.kafka import topics as kafka_topics
from worker.settings import Settings


async def test_keys_on_two_partitions_are_found(settings: Settings, topics: list[str]) -> None:
    async with line(settings) as outside:
        for number in range(30):
            await _register(outside, f"steady-{number}")
        assert [finding.is_warning for finding in await doctor._keys(settings)] == [False, False]
        for partition in (0, 1, 0):
            await _register(outside, "torn", partition)
        segments, memberships = await keys.spreads(settings)
        assert (segments.records, segments.scattered) == (0, [])
        assert (memberships.records, memberships.keys, memberships.scattered) == (33, 31, [b"torn"])
        good, warning = await doctor._keys(settings)
    assert good.is_good
    assert warning.is_good
    assert warning.is_warning
    assert "such as torn: the order" in warning.message
    assert "murmur2_random" in warning.message


async def test_only_the_newest_are_read(settings: Settings, topics: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounded, however long the topics are."""
    monkeypatch.setattr(keys, "RECORDS_MAX", 6)
    async with line(settings) as outside:
        for partition in (0, 1):
            await _register(outside, "torn", partition)
        for _ in range(5):
            for partition in range(3):
                await _register(outside, f"u{partition}", partition)
        _, memberships = await keys.spreads(settings)
    assert (memberships.records, memberships.scattered) == (6, [])


async def test_events_go_where_java_clients_expect_them(settings: Settings, topics: list[str]) -> None:
    """aiokafka's own partitioner puts the command into the partition of the same number."""
    chosen = settings.model_copy(update={"event_partitioner": "murmur2"})
    async with line(chosen) as outside, working(chosen):
        users = [f"u{number}" for number in range(10)]
        for user in users:
            await outside.send("user.register", {"user_id": user})
        said = [one for one in await outside.settled() if one.data.get("user_id") in users]
    count = (await kafka_topics.partitions(chosen))[outside.topic(Topic.MEMBERSHIP_EVENTS)]
    choose = DefaultPartitioner()
    assert len(said) == len(users)
    assert len({one.partition for one in said}) == count
    assert all(one.partition == choose(one.key, [*range(count)], []) for one in said)


async def _register(outside: Line, user: str, partition: int | None = None) -> None:
    await outside.send("user.register", {"user_id": user}, id=str(uuid4()), partition=partition)
