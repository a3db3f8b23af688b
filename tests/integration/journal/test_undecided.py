"""What Kafka has called committed, and has not told all partitions of: it is there once, whatever became of it.

Brokers leave out partitions that nobody leads at that moment. Here a predecessor of the relay writes to partitions that
its coordinator does not know of, which comes to the same.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Coroutine, Sequence
from typing import Any, TypeVar

import pytest

from schemas.topics import Topic, topic_name
from tests.support.line import line, working
from worker.journal import cursor
from worker.journal import rows as journal
from worker.journal.cursor import Cursor, Settled
from worker.journal.pace import Pace
from worker.journal.publisher import CURSOR_KEY, Publisher
from worker.journal.share import Shares, topics_of
from worker.journal.state import Outgoing
from worker.kafka import clients as kafka
from worker.kafka import topics as kafka_topics
from worker.kafka.undecided import wait_for_ends, watch
from worker.postgres import locks
from worker.postgres.clock import server_clock
from worker.postgres.session import Database, Session
from worker.settings import Settings

T = TypeVar("T")
USERS = [f"u{number}" for number in range(12)]
EVENTS, POSITIONS = Topic.MEMBERSHIP_EVENTS, Topic.RELAY_POSITIONS
VERIFICATION = "transaction.partition.verification.enable"
Place = tuple[Topic, int]
EVERYWHERE: list[Place] = [(EVENTS, 0), (EVENTS, 1), (EVENTS, 2), (POSITIONS, 0)]


@pytest.fixture
async def unverified(settings: Settings, topics: list[str]) -> AsyncIterator[None]:
    """Brokers that take what belongs to no transaction of a coordinator's."""
    await _configure(settings, {VERIFICATION: "false"})
    yield
    await _configure(settings, {})


@pytest.mark.usefixtures("unverified")
@pytest.mark.parametrize(
    ("left_out", "is_aborted"),
    [
        pytest.param(EVERYWHERE, False, id="everywhere"),
        pytest.param(EVERYWHERE[:3], False, id="events"),
        pytest.param(EVERYWHERE[:3], True, id="events, aborted with the next"),
        pytest.param(EVERYWHERE[3:], False, id="the cursor"),
        pytest.param(EVERYWHERE[1:], True, id="most, aborted with the next"),
    ],
)
async def test_it_is_there_once(settings: Settings, left_out: list[Place], *, is_aborted: bool) -> None:
    """… also where the next transaction, which fails, takes it with it."""
    async with line(settings) as outside:
        async with working(settings):
            await outside.ask("user.register", {"user_id": "first"})
        await _publish(settings, _partitions(settings, left_out), is_aborted=is_aborted)
        async with working(settings):
            await outside.ask("user.register", {"user_id": "last"})
            said = await outside.until(lambda said: len(said) >= len(USERS) + 2)
            assert sorted(one.data["user_id"] for one in said) == sorted([*USERS, "first", "last"])
            await outside.settled()
    assert await _undecided(settings) == []
    numbers = [int(one.event["sequence"]) for one in outside.said]
    assert sorted(numbers) == list(range(1, len(numbers) + 1))
    for partition in range(3):
        inside = [int(one.event["sequence"]) for one in outside.said if one.partition == partition]
        assert inside == sorted(inside)


@pytest.mark.usefixtures("unverified")
async def test_a_running_relay_notices(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing comes after it that would end it, and subscribers wait."""
    settings = settings.model_copy(update={"kafka_seconds_max": 2.0})
    publish, left_out = Publisher.publish, _partitions(settings, EVERYWHERE[:3])

    async def once(publisher: Publisher, events: Sequence[Outgoing], cursor: bytes) -> None:
        if left_out and events:
            publisher._producer._txn_manager._txn_partitions.update(left_out)
            left_out.clear()
        await publish(publisher, events, cursor)

    async with line(settings) as outside, working(settings):
        await outside.ask("user.register", {"user_id": "before"})
        monkeypatch.setattr(Publisher, "publish", once)
        await outside.ask("user.register", {"user_id": "u"})
        assert left_out == []
        await outside.settled()


def _partitions(settings: Settings, places: Collection[Place]) -> list[kafka.TopicPartition]:
    return [kafka.TopicPartition(topic_name(settings.topic_prefix, topic), number) for topic, number in places]


async def _publish(settings: Settings, left_out: Collection[kafka.TopicPartition], *, is_aborted: bool) -> None:
    """Journal a change of each user, and publish them as the relay does, with partitions that are left out."""
    session = Database(settings).session("predecessor")
    producer = kafka.transactional_producer(settings, f"{settings.topic_prefix}.relay")
    try:
        await producer.start()
        position = await _journaled(session)
        topics = await kafka_topics.partitions(settings)
        partitions = {topic: topics[topic] for topic in topics_of(settings)}
        journal_id = (await session.row("journal_head"))["id"]
        pace = Pace(5_000, 1 << 20, 20)
        shares = Shares(session, settings, pace, server_clock, journal_id, partitions, _leading)
        share = await shares.after(position, is_stopping=False)
        assert share is not None
        assert len(share.events) == len(USERS)
        publisher = Publisher(settings, producer, topic_name(settings.topic_prefix, POSITIONS), partitions)
        told = kafka.TopicPartition(topic_name(settings.topic_prefix, Topic.REPORT_EVENTS), 0)
        producer._txn_manager._pending_txn_partitions.add(told)  # else there would be nothing to commit
        producer._txn_manager._txn_partitions.update(left_out)
        await publisher.publish(share.records, cursor.encode(share.cursor._replace(settled=Settled(position.sequence))))
        assert await _undecided(settings) == sorted(left_out)
        if is_aborted:
            next_one = cursor.encode(Cursor(share.cursor.sequence + 1))
            await producer.begin_transaction()
            for place in left_out:
                await producer.send_and_wait(place.topic, next_one, key=CURSOR_KEY, partition=place.partition)
    finally:
        await kafka.cut_off(producer)
        await session.close()


async def _leading(work: Coroutine[Any, Any, T]) -> T:
    return await work


async def _journaled(session: Session) -> Cursor:
    """One change of each user is journaled; what was published before that."""
    async with session.transaction():
        now = await locks.structure(session, server_clock)
        before = (await session.row("journal_head"))["sequence"]
        rows = [journal.changed(None, user_id, "user_registered") for user_id in USERS]
        await journal.append(session, rows, now)
    return await cursor.at(session, before)


async def _undecided(settings: Settings) -> list[kafka.TopicPartition]:
    """Partitions where something has no end."""
    counts = await kafka_topics.partitions(settings)
    names = [topic_name(settings.topic_prefix, topic) for topic in (EVENTS, POSITIONS)]
    places = [kafka.TopicPartition(name, number) for name in names for number in range(counts[name])]
    consumer = kafka.reader(settings)
    try:
        await consumer.start()
        await watch(consumer, places)
        found = await wait_for_ends(consumer, places, 0.5)
    finally:
        await kafka.abandon(consumer.stop())
    assert found.untold == set()
    return found.places


async def _configure(settings: Settings, configs: dict[str, str]) -> None:
    async with kafka.admin(settings) as client:
        for broker in (await client.describe_cluster())["brokers"]:
            name = str(broker["node_id"])
            await client.alter_configs([kafka.ConfigResource(kafka.ConfigResourceType.BROKER, name, configs)])
