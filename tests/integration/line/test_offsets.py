"""Where the worker goes on: gaps, aborted commands, lag, the mirror of positions in Kafka, and fencing."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest
from aiokafka.admin import RecordsToDelete

from schemas.commands import COMMANDS
from schemas.producer import new_command
from schemas.topics import Topic
from tests.support.events import rows
from tests.support.line import Line, line, working
from tests.support.pages import get, ready, shows, value, with_pages
from worker.kafka import clients as kafka
from worker.line import consume, mirror, open_transactions
from worker.postgres import locks
from worker.settings import Settings

TOPIC = COMMANDS["user.register"].topic


@pytest.fixture
def quick(settings: Settings, topics: list[str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A worker with pages, which says how far it is as often as it can."""
    monkeypatch.setattr(consume, "ADVANCE_SECONDS", 0.0)
    monkeypatch.setattr(consume, "HALTED_SECONDS", 0.0)
    monkeypatch.setattr(mirror, "MIRROR_SECONDS", 0.01)
    return with_pages(settings)


async def test_aborted_commands_are_not_applied(quick: Settings) -> None:
    """Those that commit are, and markers are no records that are missing."""
    async with line(quick) as outside, working(quick):
        for number, is_committed in enumerate([True, False, True, False]):
            await _transaction(outside, [f"u{number}a", f"u{number}b"], is_committed=is_committed)
        said = await outside.settled()
        said.sort(key=lambda one: int(one.event["sequence"]))
        assert [one.data["user_id"] for one in said] == ["u0a", "u0b", "u2a", "u2b"]
        users = await rows(quick, "select user_id from users where user_id like 'u%' order by 1")
        assert [row["user_id"] for row in users] == ["u0a", "u0b", "u2a", "u2b"]
        assert (await get(quick, "/readyz"))[0] == 200


async def test_the_position_moves_over_what_is_no_record(quick: Settings) -> None:
    """So a partition that ends in a marker is not behind for ever."""
    async with line(quick) as outside, working(quick):
        await _transaction(outside, ["a"], is_committed=True)
        await _transaction(outside, ["b"], is_committed=False)
        await outside.until(lambda said: len(said) == 1)
        await _position(quick, outside.topic(TOPIC), 4)  # a, its marker, b, its marker
        text = await shows(quick, "/metrics", lambda _, text: _lag(quick, text, "records") == 0)
        assert _lag(quick, text, "seconds") == 0


async def test_a_start_between_markers(quick: Settings) -> None:
    """The first offset is not the position."""
    async with line(quick) as outside:
        await _transaction(outside, ["a"], is_committed=False)
        async with working(quick):
            await _position(quick, outside.topic(TOPIC), 2)
        await _transaction(outside, ["b"], is_committed=True)
        async with working(quick):
            said = await outside.settled()
    assert [one.data["user_id"] for one in said] == ["b"]


async def test_lag_is_what_waits(quick: Settings) -> None:
    """While the database holds the worker up; afterwards nothing does."""
    blocker = await asyncpg.connect(quick.database_url.get_secret_value())
    async with line(quick) as outside, working(quick):
        await ready(quick)
        await outside.ask("user.register", {"user_id": "first"}, partition=0)
        await blocker.execute(f"select pg_advisory_lock({locks.STRUCTURE})")
        for number in range(7):
            await outside.send("user.register", {"user_id": f"u{number}"}, partition=0)
        text = await shows(quick, "/metrics", lambda _, text: _lag(quick, text, "records") == 7)
        assert (_lag(quick, text, "seconds") or 0) > 0
        await blocker.close()
        await outside.until(lambda said: len(said) == 8)
        text = await shows(quick, "/metrics", lambda _, text: _lag(quick, text, "records") == 0)
        assert _lag(quick, text, "seconds") == 0


async def test_an_open_transaction_is_told(quick: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands behind it waits, though nobody can read it yet; it is no standstill of the worker's."""
    monkeypatch.setattr(open_transactions, "SAID_SECONDS", 0.0)
    async with line(quick) as outside, working(quick):
        await ready(quick)
        producer = kafka.transactional_producer(quick, f"{quick.topic_prefix}-test")
        await producer.start()
        await producer.begin_transaction()
        made = new_command("user.register", {"user_id": "open"}, source="/tests")
        await producer.send_and_wait(outside.topic(TOPIC), made.value, key=made.key, partition=0)
        behind = await outside.send("user.register", {"user_id": "behind"}, partition=0)
        await shows(quick, "/metrics", lambda _, text: _lag(quick, text, "records") == 2)
        await shows(quick, "/metrics", lambda _, text: min(_lag(quick, text, "seconds") or 0, _open(quick, text)) > 0)
        assert (await get(quick, "/livez"))[0] == 200
        await producer.commit_transaction()
        await kafka.abandon(producer.stop())
        await outside.outcome(behind)
        assert sorted(one.data["user_id"] for one in outside.said) == ["behind", "open"]
        text = await shows(quick, "/metrics", lambda _, text: _lag(quick, text, "records") == 0)
        assert (_lag(quick, text, "seconds"), _open(quick, text)) == (0, 0)


async def test_lag_tools_see_the_position(quick: Settings) -> None:
    """Kafka's committed offsets follow what was applied."""
    partition = kafka.TopicPartition(f"{quick.topic_prefix}.{TOPIC.value}", 0)
    async with line(quick) as outside, working(quick), kafka.admin(quick) as client:
        for number in range(3):
            await outside.ask("user.register", {"user_id": f"u{number}"}, partition=0)
        async with asyncio.timeout(60):
            while True:
                offsets = await client.list_consumer_group_offsets(quick.group_id)
                if partition in offsets and offsets[partition].offset == 3:
                    break


async def test_kafkas_committed_offsets_decide_nothing(quick: Settings) -> None:
    """Somebody resets the group's offsets: the database's position stands."""
    partition = kafka.TopicPartition(f"{quick.topic_prefix}.{TOPIC.value}", 0)
    async with line(quick) as outside:
        async with working(quick):
            for number in range(3):
                await outside.ask("user.register", {"user_id": f"u{number}"}, partition=0)
        for offset in (0, 3):
            group = kafka.group_consumer(quick)
            group.assign([partition])
            await group.start()
            await group.commit({partition: offset})
            await group.stop()
            last = await outside.send("user.register", {"user_id": f"after{offset}"}, partition=0)
            async with working(quick):
                await outside.outcome(last)
                said = await outside.settled()
        users = [one.data["user_id"] for one in said if not one.data["user_id"].startswith("sentinel")]
        assert sorted(users) == ["after0", "after3", "u0", "u1", "u2"]
        assert len({one.event["id"] for one in outside.said}) == len(outside.said)


async def test_another_owner_fences_the_batch(quick: Settings) -> None:
    """A stale epoch's commit changes nothing; the worker reads its positions again, and applies once."""
    async with line(quick) as outside, working(quick):
        await ready(quick)
        before = await _metric(quick, "segmentation_fenced_total")
        for number in range(3):
            await rows(quick, "update positions set epoch = epoch + 1 returning 1")
            one = await outside.ask("user.register", {"user_id": f"u{number}"})
            assert one.event["sequence"] == str(number + 1)
        assert await _metric(quick, "segmentation_fenced_total") == before + 3
        said = await outside.settled()
        assert sorted(one.data["user_id"] for one in said) == ["u0", "u1", "u2"]


async def test_an_owner_that_was_ahead(quick: Settings) -> None:
    """It has applied the record in hand: this worker drops it, and goes on behind it."""
    async with line(quick) as outside, working(quick):
        await ready(quick)
        await outside.ask("user.register", {"user_id": "first"}, partition=0)
        moved = "update positions set epoch = epoch + 1, next_offset = 2 where topic = $1 and partition = 0 returning 1"
        assert await rows(quick, moved, outside.topic(TOPIC))
        await outside.send("user.register", {"user_id": "theirs"}, partition=0)
        await outside.ask("user.register", {"user_id": "ours"}, partition=0)
        said = await outside.settled()
        assert sorted(one.data["user_id"] for one in said) == ["first", "ours"]


async def test_retention_overtakes_a_running_worker(quick: Settings) -> None:
    """What it had read is applied, what is gone halts the partition, and the others go on."""
    blocker = await asyncpg.connect(quick.database_url.get_secret_value())
    name = f"{quick.topic_prefix}.{TOPIC.value}"
    async with line(quick) as outside, working(quick):
        await ready(quick)
        await blocker.execute(f"select pg_advisory_lock({locks.STRUCTURE})")
        count = 60
        for number in range(count):
            padding = "x" * 100_000
            await _send_padded(outside, f"u{number}", padding)
        async with kafka.admin(quick) as client:
            await client.delete_records({kafka.TopicPartition(name, 0): RecordsToDelete(before_offset=count - 1)})
        await blocker.close()
        problem = await shows(quick, "/readyz", lambda status, text: status == 503 and "reset positions" in text)
        assert f"{name}:0" in problem
        assert f"begins at {count - 1}" in problem
        applied = (await rows(quick, "select next_offset from positions where topic = $1 and partition = 0", name))[0]
        assert f"offset {applied['next_offset']}," in problem
        assert 0 < applied["next_offset"] < count - 1
        await outside.ask("user.register", {"user_id": "neighbour"}, partition=1)
        registered = await rows(quick, "select from users where user_id like 'u%'")
        assert len(registered) == applied["next_offset"]
        text = (await get(quick, "/metrics"))[1]
        assert value(text, "segmentation_partition_halted", topic=name, partition=0) == 1


async def _send_padded(outside: Line, user: str, padding: str) -> None:
    """A good command of some size: extensions that nobody knows are ignored."""
    made = new_command("user.register", {"user_id": user}, source="/tests")
    value = made.value[:-1] + b',"padding":"' + padding.encode() + b'"}'
    await outside.send_raw(TOPIC, value, made.key, list(made.headers), partition=0)


async def _transaction(outside: Line, users: list[str], *, is_committed: bool) -> None:
    producer = kafka.transactional_producer(outside.settings, f"{outside.settings.topic_prefix}-test")
    try:
        await producer.start()
        await producer.begin_transaction()
        for user in users:
            made = new_command("user.register", {"user_id": user}, source="/tests")
            await producer.send_and_wait(outside.topic(TOPIC), made.value, key=made.key, partition=0)
        await (producer.commit_transaction() if is_committed else producer.abort_transaction())
    finally:
        await kafka.abandon(producer.stop())


async def _position(settings: Settings, topic: str, expected: int) -> None:
    sql = "select next_offset from positions where topic = $1 and partition = 0"
    async with asyncio.timeout(60):
        while await rows(settings, sql, topic) != [{"next_offset": expected}]:
            pass


async def _metric(settings: Settings, name: str) -> float:
    return value((await get(settings, "/metrics"))[1], name) or 0


def _lag(settings: Settings, text: str, unit: str) -> float | None:
    topic = f"{settings.topic_prefix}.{Topic.MEMBERSHIP_COMMANDS.value}"
    return value(text, f"segmentation_lag_{unit}", topic=topic, partition=0)


def _open(settings: Settings, text: str) -> float:
    topic = f"{settings.topic_prefix}.{Topic.MEMBERSHIP_COMMANDS.value}"
    return value(text, "segmentation_open_transaction_seconds", topic=topic, partition=0) or 0
