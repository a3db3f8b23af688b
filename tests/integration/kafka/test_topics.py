"""Topics in a real Kafka: made by several at once, checked, and refused with what mends them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from schemas.topics import Topic, topic_name
from tests.conftest import make_settings
from tests.services import Provided
from worker import app
from worker.errors import ConfigurationError, Unavailable
from worker.kafka import clients as kafka
from worker.kafka import topics
from worker.settings import Settings


@pytest.fixture
async def fresh(settings: Settings) -> AsyncIterator[Settings]:
    """A deployment without topics; those that the test makes are deleted."""
    yield settings
    async with kafka.admin(settings) as client:
        await client.delete_topics(list(await topics.partitions(settings)))


async def test_the_missing_ones_are_made(fresh: Settings) -> None:
    with pytest.raises(ConfigurationError, match=f"lacks the topics {fresh.topic_prefix}.*`segmentation topics`"):
        await topics.check(fresh)
    made = await topics.ensure(fresh)
    assert made == sorted(topic_name(fresh.topic_prefix, topic) for topic in topics.topics_of(fresh))
    assert await topics.ensure(fresh) == []
    await topics.check(fresh)
    counts = await topics.partitions(fresh)
    assert {counts.pop(topic_name(fresh.topic_prefix, Topic.RELAY_POSITIONS)), *counts.values()} == {1, 3}


async def test_by_several_at_once(fresh: Settings) -> None:
    made = await asyncio.gather(*(topics.ensure(fresh) for _ in range(4)))
    assert max(map(len, made)) == len(topics.topics_of(fresh))
    await topics.check(fresh)


async def test_one_that_is_missing_is_made_alone(fresh: Settings) -> None:
    await topics.ensure(fresh)
    name = topic_name(fresh.topic_prefix, Topic.REJECTIONS)
    async with kafka.admin(fresh) as client:
        await client.delete_topics([name])
    async with asyncio.timeout(60):
        while name in await topics.partitions(fresh):
            pass
    assert await topics.ensure(fresh) == [name]


async def test_the_worker_does_not_start_on_a_wrong_one(fresh: Settings) -> None:
    """And says which one, and what mends it; so do the others' problems."""
    await topics.ensure(fresh)
    positions = topic_name(fresh.topic_prefix, Topic.RELAY_POSITIONS)
    events = topic_name(fresh.topic_prefix, Topic.MEMBERSHIP_EVENTS)
    async with kafka.admin(fresh) as client:
        wrong = {positions: {"cleanup.policy": "delete"}, events: {"max.message.bytes": "1000"}}
        await client.alter_configs(
            [kafka.ConfigResource(kafka.ConfigResourceType.TOPIC, name, config) for name, config in wrong.items()]
        )
    await _problems_are_shown(fresh, len(wrong))
    with pytest.raises(ConfigurationError) as raised:
        await asyncio.wait_for(app.run(fresh), 60)
    lines = str(raised.value).splitlines()
    assert len(lines) == 2
    assert any(line.startswith(f"Topic {positions}: its cleanup.policy is delete") for line in lines)
    assert any(line.startswith(f"Topic {events}: its max.message.bytes is 1000") for line in lines)


async def _problems_are_shown(settings: Settings, count: int) -> None:
    """Kafka has taken a change before it tells of it."""
    async with asyncio.timeout(30):
        while True:
            try:
                await topics.check(settings)
            except ConfigurationError as error:
                if len(str(error).splitlines()) == count:
                    return
            await asyncio.sleep(0.05)


async def test_what_kafka_refuses_is_told(services: Provided, database_url: str) -> None:
    settings = make_settings(services.kafka_bootstrap_servers, database_url, topic_replication_factor=9)
    with pytest.raises(ConfigurationError, match="Kafka refused to create"):
        await topics.ensure(settings)
    assert await topics.partitions(settings) == {}


async def test_no_broker(database_url: str) -> None:
    settings = make_settings("localhost:1", database_url, kafka_seconds_max=5)
    with pytest.raises(Unavailable, match=r"^Kafka at localhost:1: "):
        await topics.check(settings)
