"""`Memberships` on the topic that the relay writes, with both clients, and the program of the page that explains it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import confluent_kafka.admin
import pytest
from confluent_kafka import IsolationLevel

from schemas.reader import Memberships, StalledError, TopicChangedError
from schemas.reader.records import Partition
from schemas.state import encode_state
from schemas.topics import Topic, topic_name
from tests.support.events import rows
from tests.support.line import WAIT_SECONDS_MAX, Line, line, working
from tests.support.topics import gone
from worker.kafka import clients as kafka
from worker.kafka import topics as kafka_topics
from worker.settings import Settings

ADMIN: Any = confluent_kafka.admin  # whose types say nothing of what it exports
ROOT = Path(__file__).parents[3]
USERS = [f"user-{number}" for number in range(40)]
Reading = Callable[[Settings, Memberships], contextlib.AbstractAsyncContextManager[None]]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """With the topic."""
    return settings.model_copy(update={"state_topic": "on"})


@contextlib.asynccontextmanager
async def by_aiokafka(settings: Settings, memberships: Memberships) -> AsyncIterator[None]:
    """States and events, both at once, followed until the end of the block."""
    names = [topic_name(settings.topic_prefix, topic) for topic in (Topic.MEMBERSHIPS, Topic.MEMBERSHIP_EVENTS)]
    counts = await kafka_topics.partitions(settings)
    partitions = [kafka.TopicPartition(name, number) for name in names for number in range(counts[name])]
    consumer, asking = kafka.reader(settings), kafka.reader(settings, isolation_level="read_uncommitted")

    async def follow() -> None:
        while True:
            records = await consumer.getmany(timeout_ms=100)
            await memberships.take(records, {one: await consumer.position(one) for one in partitions})

    try:
        await consumer.start()
        await asking.start()
        consumer.assign(partitions)
        beginnings = await consumer.beginning_offsets(partitions)
        places = await memberships.begin(beginnings, lambda: asking.end_offsets(partitions))
        for partition, offset in places.items():
            consumer.seek(partition, offset)
        async with following(follow()):
            yield
    finally:
        await kafka.abandon(consumer.stop())
        await kafka.abandon(asking.stop())


@contextlib.asynccontextmanager
async def by_confluent_kafka(settings: Settings, memberships: Memberships) -> AsyncIterator[None]:
    """States alone, followed until the end of the block."""
    name = topic_name(settings.topic_prefix, Topic.MEMBERSHIPS)
    consumer = confluent_kafka.Consumer(
        {
            "bootstrap.servers": settings.kafka_bootstrap_servers,
            "group.id": "unused",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
        }
    )
    numbers = consumer.list_topics(name, timeout=WAIT_SECONDS_MAX).topics[name].partitions
    partitions = [confluent_kafka.TopicPartition(name, number) for number in numbers]
    asking = ADMIN.AdminClient({"bootstrap.servers": settings.kafka_bootstrap_servers})

    async def offsets(spec: Any) -> dict[Partition, int]:
        found = asking.list_offsets(dict.fromkeys(partitions, spec), isolation_level=IsolationLevel.READ_UNCOMMITTED)
        return {(name, one.partition): (await asyncio.wrap_future(told)).offset for one, told in found.items()}

    async def ends() -> Mapping[Partition, int]:
        return await offsets(ADMIN.OffsetSpec.latest())

    async def follow() -> None:
        while True:
            await memberships.take(await asyncio.to_thread(consumer.consume, 1_000, 0.1))

    try:
        places = await memberships.begin(await offsets(ADMIN.OffsetSpec.earliest()), ends)
        consumer.assign([confluent_kafka.TopicPartition(*one, offset) for one, offset in places.items()])
        async with following(follow()):
            yield
    finally:
        consumer.close()


@contextlib.asynccontextmanager
async def following(reading: Any) -> AsyncIterator[None]:
    """What reads fails the block, and ends with it."""
    async with asyncio.timeout(WAIT_SECONDS_MAX), asyncio.TaskGroup() as tasks:
        task = tasks.create_task(reading)
        yield
        task.cancel()


async def changed(outside: Line, user: str, **change: Any) -> int:
    """A membership.change; the sequence of its event."""
    said = await outside.ask("membership.change", {"user_id": user, **change})
    return int(said.event["sequence"])


async def holds_what_the_database_holds(settings: Settings, memberships: Memberships) -> None:
    found: dict[str, set[str]] = {user: set() for user in USERS}
    for row in await rows(settings, "select user_id, segment from active_memberships"):
        found[row["user_id"]].add(row["segment"])
    assert {user: set(memberships.segments_of(user)) for user in USERS} == found
    details = await rows(settings, "select segment, segment_id, origin, since, expires_at from active_memberships")
    kept = [tuple(one) for user in USERS for one in memberships.details_of(user)]
    assert sorted(kept, key=str) == sorted([(*row.values(),) for row in _texts(details)], key=str)


def _texts(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row | {"segment_id": str(row["segment_id"]), "origin": str(row["origin"])} for row in found]


async def filled(outside: Line) -> None:
    """Users by percent, by command, for a time, renewed, removed and forgotten."""
    await outside.ask("segment.create", {"segment": "all", "percent": 60})
    for segment in ("beta", "sale"):
        await outside.ask("segment.create", {"segment": segment})
    await asyncio.gather(*(outside.ask("user.register", {"user_id": user}) for user in USERS))
    await asyncio.gather(*(changed(outside, user, add=["beta", "sale"], ttl="P2M") for user in USERS[::2]))
    await asyncio.gather(*(changed(outside, user, remove=["beta", "all"]) for user in USERS[::3]))
    await asyncio.gather(*(changed(outside, user, add=["sale"], ttl="P3M") for user in USERS[::5]))
    await asyncio.gather(*(outside.ask("user.forget", {"user_id": user}) for user in USERS[::7]))


async def test_both_clients_and_the_page(settings: Settings, topics: list[str], tmp_path: Path) -> None:
    async with line(settings) as outside, working(settings):
        await filled(outside)
        for number, reading in enumerate((by_aiokafka, by_confluent_kafka)):
            await _follows(settings, outside, reading, tmp_path / str(number))
        printed = await _page(settings, tmp_path, USERS[7], USERS[1])
        forgotten = [line.partition(" ")[2] for line in printed if line.startswith(f"{USERS[7]} ")]
        assert forgotten == ["[]"]
        assert "'late-0', 'late-1'" in next(line for line in printed if line.startswith(f"{USERS[1]} "))


async def _follows(settings: Settings, outside: Line, reading: Reading, folder: Path) -> None:
    """From nothing to the present, along with changes, and from there after a pause."""
    with Memberships.open(folder) as memberships:
        async with reading(settings, memberships):
            await memberships.ready()
            await holds_what_the_database_holds(settings, memberships)
            await outside.ask("segment.create", {"segment": folder.name})
            await memberships.reached(await changed(outside, USERS[1], add=[folder.name]))
            assert memberships.is_in(USERS[1], folder.name)
            forgotten = await outside.ask("user.forget", {"user_id": USERS[2 + int(folder.name)]})
            await memberships.reached(int(forgotten.event["sequence"]))
            await holds_what_the_database_holds(settings, memberships)
    late = f"late-{folder.name}"
    await outside.ask("segment.create", {"segment": late})
    await changed(outside, USERS[1], add=[late])
    await changed(outside, USERS[1], add=[late], ttl="P1M")
    with Memberships.open(folder) as memberships:
        assert not memberships.is_in(USERS[1], late)
        async with reading(settings, memberships):
            await memberships.ready()
            await holds_what_the_database_holds(settings, memberships)


async def _page(settings: Settings, folder: Path, *users: str) -> list[str]:
    """What the program of docs/state.md prints."""
    text = (ROOT / "docs" / "state.md").read_text(encoding="utf-8")
    (folder / "program.py").write_text(re.findall(r"```python\n(.*?)```", text, re.DOTALL)[0], encoding="utf-8")
    environment = {
        "SEGMENTATION_KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
        "SEGMENTATION_TOPIC_PREFIX": settings.topic_prefix,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "program.py",
        *users,
        cwd=folder,
        env=os.environ | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            out, errors = await process.communicate()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    assert (process.returncode, errors.decode()) == (0, "")
    return out.decode().splitlines()


async def test_reached_waits_for_a_transaction_that_is_being_committed(
    settings: Settings, topics: list[str], tmp_path: Path
) -> None:
    """A partition may show it later than the one in which somebody has read of it."""
    name = topic_name(settings.topic_prefix, Topic.MEMBERSHIPS)
    producer = kafka.transactional_producer(settings, f"{settings.topic_prefix}.relay")
    await producer.start()
    try:
        with Memberships.open(tmp_path) as memberships:
            async with by_aiokafka(settings, memberships):
                await producer.begin_transaction()
                await producer.send_and_wait(name, encode_state("ada", 7, []), key=b"ada")
                reached = asyncio.create_task(memberships.reached(7))
                with pytest.raises(StalledError, match=r"still to come: .*memberships/[012]: 1"):
                    await memberships.reached(7, timeout_seconds=0.5)
                assert not reached.done()
                await producer.commit_transaction()
                await reached
                assert memberships.sequence_of("ada") == 7
    finally:
        await kafka.abandon(producer.stop())


async def test_a_topic_that_was_made_anew_is_noticed(settings: Settings, topics: list[str], tmp_path: Path) -> None:
    async with line(settings) as outside, working(settings):
        await outside.ask("segment.create", {"segment": "beta"})
        await outside.ask("user.register", {"user_id": "ada"})
        await changed(outside, "ada", add=["beta"])
    with Memberships.open(tmp_path) as memberships:
        async with by_aiokafka(settings, memberships):
            await memberships.ready()
        await gone(settings, topic_name(settings.topic_prefix, Topic.MEMBERSHIPS))
        await kafka_topics.ensure(settings)
        with pytest.raises(TopicChangedError, match="was read up to"):
            async with by_aiokafka(settings, memberships):
                pass
        assert memberships.is_in("ada", "beta")
