"""What Kafka has called committed, and has not told all partitions of: it is there once, whatever became of it.

Brokers leave out partitions that nobody leads at that moment. Here a predecessor of the relay writes to partitions that
its coordinator does not know of, which comes to the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Coroutine, Sequence
from typing import Any, TypeVar

import pytest
import structlog

from schemas.topics import Topic, topic_name
from tests.support.line import WAIT_SECONDS_MAX, line, working
from tests.support.states import told
from worker.errors import Unavailable
from worker.journal import cursor
from worker.journal import rows as journal
from worker.journal.cursor import Cursor, Settled, last_cursor
from worker.journal.pace import Pace
from worker.journal.publisher import CURSOR_KEY, Publisher
from worker.journal.resume import Resume
from worker.journal.share import Shares, topics_of
from worker.journal.state import Outgoing
from worker.kafka import clients as kafka
from worker.kafka import topics as kafka_topics
from worker.kafka.undecided import Undecided, wait_for_ends, watch
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
async def test_it_is_there_once(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, left_out: list[Place], *, is_aborted: bool
) -> None:
    """… also where the next transaction, which fails, takes it with it, and who mends it first is interrupted."""
    ends, interruptions = Resume._require_ends, iter([True])

    async def interrupted(resume: Resume) -> None:
        if next(interruptions, False):
            raise Unavailable("interrupted")
        await ends(resume)

    async with line(settings) as outside:
        async with working(settings):
            await outside.ask("user.register", {"user_id": "first"})
        await _publish(settings, _partitions(settings, left_out), is_aborted=is_aborted)
        monkeypatch.setattr(Resume, "_require_ends", interrupted)
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


async def test_a_partition_that_nobody_tells_of(
    settings: Settings, topics: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands there may have no end: nothing is written there before somebody has looked."""
    silent = set(_partitions(settings, EVERYWHERE[:3]))

    async def told_of(*arguments: Any) -> Undecided:
        found = await wait_for_ends(*arguments)
        return found._replace(untold=found.untold | silent)

    monkeypatch.setattr("worker.journal.resume.wait_for_ends", told_of)
    with structlog.testing.capture_logs() as said:
        async with line(settings) as outside, working(settings):
            await outside.ask("segment.create", {"segment": "elsewhere"})
            command = await outside.send("user.register", {"user_id": "u"})
            async with asyncio.timeout(WAIT_SECONDS_MAX):
                while not any("has not told how" in str(one.get("error")) for one in said):
                    await asyncio.sleep(0.01)
            silent.clear()
            assert (await outside.outcome(command)).event["sequence"] == "2"


@pytest.mark.usefixtures("unverified")
async def test_a_mend_that_is_interrupted(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """… between its transactions, and again: the next relay goes on with it, and repeats nothing."""
    settings = settings.model_copy(update={"relay_rows_max": 16})
    async with line(settings) as outside:
        async with working(settings):
            await outside.ask("user.register", {"user_id": "first"})
        await _publish(settings, _partitions(settings, EVERYWHERE[:3]), is_aborted=False)
        publish, fails = Publisher.publish, iter([False, False, True, False, True])

        async def failing(publisher: Publisher, events: Sequence[Outgoing], cursor: bytes) -> None:
            if events and bool(next(fails, False)):
                raise kafka.KafkaError("interrupted")
            await publish(publisher, events, cursor)

        monkeypatch.setattr(Publisher, "publish", failing)
        async with working(settings):
            said = await outside.until(lambda said: len(said) > len(USERS))
            assert sorted(one.data["user_id"] for one in said) == sorted([*USERS, "first"])
            assert len(await outside.settled()) == len(USERS) + 1
        assert next(fails, None) is None


@pytest.mark.usefixtures("unverified")
@pytest.mark.parametrize("is_aborted", [False, True], ids=["left", "aborted with the next"])
async def test_states_are_written_again(settings: Settings, *, is_aborted: bool) -> None:
    """The events can be read, and so can the cursor: nobody lacks anything but the state."""
    settings = settings.model_copy(update={"state_topic": "on"})
    await kafka_topics.ensure(settings)
    async with line(settings) as outside:
        async with working(settings):
            for command in [await outside.send("user.register", {"user_id": user}) for user in USERS]:
                await outside.outcome(command)
        places = [(Topic.MEMBERSHIPS, number) for number in range(3)]
        await _publish(settings, _partitions(settings, places), is_aborted=is_aborted)
        assert max(one.sequence for one in await told(settings)) == len(USERS)
        async with working(settings):
            await outside.ask("user.register", {"user_id": "last"})
            await told(
                settings, lambda records: set(USERS) <= {one.user for one in records if one.sequence > len(USERS)}
            )
        assert len(outside.said) == 2 * len(USERS) + 1


def _partitions(settings: Settings, places: Collection[Place]) -> list[kafka.TopicPartition]:
    return [kafka.TopicPartition(topic_name(settings.topic_prefix, topic), number) for topic, number in places]


async def _publish(settings: Settings, left_out: Collection[kafka.TopicPartition], *, is_aborted: bool) -> None:
    """Journal a change of each user, and publish them as the relay does, with partitions that are left out."""
    session = Database(settings).session("predecessor")
    producer = kafka.transactional_producer(settings, f"{settings.topic_prefix}.relay")
    try:
        await producer.start()
        await _journaled(session)
        position = await last_cursor(settings, topic_name(settings.topic_prefix, POSITIONS))
        assert position is not None
        topics = await kafka_topics.partitions(settings)
        partitions = {topic: topics[topic] for topic in topics_of(settings)}
        journal_id = (await session.row("journal_head"))["id"]
        pace = Pace(5_000, 1 << 20, 20)
        shares = Shares(session, settings, pace, server_clock, journal_id, partitions, _leading)
        share = await shares.after(position, is_stopping=False)
        assert share is not None
        assert len(share.events) == len(USERS)
        publisher = Publisher(settings, producer, topic_name(settings.topic_prefix, POSITIONS), partitions)
        known = kafka.TopicPartition(topic_name(settings.topic_prefix, Topic.REPORT_EVENTS), 0)
        producer._txn_manager._pending_txn_partitions.add(known)  # else there would be nothing to commit
        producer._txn_manager._txn_partitions.update(left_out)
        await publisher.publish(
            share.records, cursor.encode(share.cursor._replace(settled=Settled(position.sequence, position.place)))
        )
        await session.fetch("relay_mark", share.cursor.sequence)  # as Kafka has said yes
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


async def _journaled(session: Session) -> None:
    """A change of each user."""
    async with session.transaction():
        now = await locks.structure(session, server_clock)
        rows = [journal.changed(None, user_id, "user_registered") for user_id in USERS]
        await journal.append(session, rows, now)


async def _undecided(settings: Settings) -> list[kafka.TopicPartition]:
    """Partitions where something has no end."""
    counts = await kafka_topics.partitions(settings)
    names = [topic_name(settings.topic_prefix, topic) for topic in (EVENTS, POSITIONS, Topic.MEMBERSHIPS)]
    places = [kafka.TopicPartition(name, number) for name in names for number in range(counts.get(name, 0))]
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
