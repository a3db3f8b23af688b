"""The relay with a real broker that refuses, and with what a predecessor left behind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from prometheus_client import REGISTRY

from schemas.topics import Topic
from tests.support.events import execute, rows
from tests.support.line import Line, line, working
from tests.support.pages import get, ready, shows, value, with_pages
from tests.support.topics import created_again
from worker.cli import doctor
from worker.journal import relay, resume
from worker.journal.cursor import Cursor, last_cursor
from worker.journal.publisher import CURSOR_KEY
from worker.kafka import clients as kafka
from worker.settings import Settings

REJECTIONS = Topic.REJECTIONS
STALLED = "segmentation_relay_stalled_seconds"
FAILED = "segmentation_relay_transactions_total"


@pytest.fixture
def quick(settings: Settings, topics: list[str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A worker with pages, whose relay notes in PostgreSQL at once how far it is."""
    monkeypatch.setattr(relay, "MARK_SECONDS", 0.0)
    return with_pages(settings)


async def test_a_topic_that_takes_too_little(quick: Settings) -> None:
    """Somebody lowers max.message.bytes: the broker refuses a batch within the transaction, whose commit would go
    through. The relay reports, does not advance, and goes on by itself when the topic is mended; nothing is doubled."""
    async with line(quick) as outside, working(quick):
        await outside.ask("user.register", {"user_id": "before"})
        failed = _transactions("failed")
        await _limit(outside, 2_000)
        for number in range(3):
            await outside.send_raw(Topic.MEMBERSHIP_COMMANDS, b"%d" % number + b"x" * 5_000, b"k")
            await outside.send("user.register", {"user_id": f"u{number}"})
        await shows(quick, "/metrics", lambda *_: _transactions("failed") >= failed + 2)
        assert {one.data.get("user_id") for one in outside.said} == {"before"}
        assert await rows(quick, "select published_sequence from relay") == [{"published_sequence": 1}]
        assert (await get(quick, "/livez"))[0] == 200
        await _limit(outside, 32 * 1024 * 1024)
        await outside.settled()
    numbers = sorted(int(one.event["sequence"]) for one in outside.said)
    assert numbers == list(range(1, len(numbers) + 1))
    assert len([one for one in outside.said if one.type == "command.rejected"]) == 3


async def test_an_event_that_its_topic_does_not_take(settings: Settings, topics: list[str]) -> None:
    """It goes without some of its items, which it counts, and holds up nothing; and many small ones go in more
    batches, as Kafka bounds those."""
    segments = [f"{number:0200}" for number in range(500)]
    async with line(settings) as outside, working(settings):
        await outside.ask("user.register", {"user_id": "u"})
        await _limit(outside, 100_000)
        for number in range(40):
            await outside.send_raw(Topic.MEMBERSHIP_COMMANDS, b"%d" % number + b"x" * 5_000, b"k")
        command = await outside.send("membership.change", {"user_id": "u", "add": segments})
        rejected = (await outside.outcome(command)).data
        await outside.settled()
    assert rejected["code"] == "segment_not_found"
    assert rejected["record"] == ""
    assert rejected["record_bytes"] > 100_000
    assert rejected["errors"][0]["field"] == "data.add[0]"
    assert 200 < len(rejected["errors"]) < 500
    assert len(rejected["errors"]) + rejected["omitted"] == 500
    assert sorted(int(one.event["sequence"]) for one in outside.said) == list(range(1, len(outside.said) + 1))


async def test_the_producer_comes_before_the_cursor(
    settings: Settings, topics: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its start ends what a predecessor left unfinished; a cursor that was read earlier could be an old one."""
    order: list[str] = []
    start, read_last = kafka.AIOKafkaProducer.start, last_cursor

    async def started(producer: kafka.AIOKafkaProducer) -> None:
        await start(producer)
        if producer._txn_manager is not None and producer._txn_manager.transactional_id:
            order.append("producer")

    async def read(*arguments: Any) -> Cursor | None:
        order.append("cursor")
        return await read_last(*arguments)

    monkeypatch.setattr(kafka.AIOKafkaProducer, "start", started)
    monkeypatch.setattr(resume, "last_cursor", read)
    async with line(settings) as outside, working(settings):
        await outside.ask("user.register", {"user_id": "u"})
    assert order == ["producer", "cursor"]


async def test_what_a_predecessor_left_open(settings: Settings, topics: list[str]) -> None:
    """It has written an event and the cursor, and died before it committed: readers see that event once, not its."""
    async with line(settings) as outside:
        async with working(settings):
            first = await outside.ask("user.register", {"user_id": "first"})
        dead = kafka.transactional_producer(settings, f"{settings.topic_prefix}.relay")
        await dead.start()
        await dead.begin_transaction()
        await dead.send_and_wait(first.topic, orjson.dumps(first.event), key=b"first", partition=first.partition)
        cursor = outside.topic(Topic.RELAY_POSITIONS)
        await dead.send_and_wait(cursor, orjson.dumps({"sequence": 2}), key=CURSOR_KEY, partition=0)
        async with working(settings):
            second = await outside.ask("user.register", {"user_id": "first"})
            assert second.event["sequence"] == "2"
            assert len(await outside.settled()) == 2
        await kafka.abandon(dead.stop())


async def test_the_cursor_is_the_last_committed_one(settings: Settings, topics: list[str]) -> None:
    """Behind it may lie aborted ones and markers, more than are looked at first."""
    name = f"{settings.topic_prefix}.{Topic.RELAY_POSITIONS.value}"
    assert await last_cursor(settings, name) is None
    for sequences, is_committed in (([3, 7], True), (range(1_000, 1_200), False)):
        producer = kafka.transactional_producer(settings, "a-test")
        await producer.start()
        await producer.begin_transaction()
        sent = [
            await producer.send(name, orjson.dumps({"sequence": number}), key=CURSOR_KEY, partition=0)
            for number in sequences
        ]
        for delivery in sent:
            await delivery
        await (producer.commit_transaction() if is_committed else producer.abort_transaction())
        await kafka.abandon(producer.stop())
    assert await last_cursor(settings, name) == Cursor(7)


async def test_the_backlog_is_told(quick: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that are not published yet, and the age of the oldest; none when all are."""
    monkeypatch.setattr("worker.line.mirror.MIRROR_SECONDS", 0.01)
    async with line(quick) as outside, working(quick):
        rows_name, age_name = "segmentation_journal_unpublished_rows", "segmentation_journal_unpublished_seconds"

        def one(_: int, text: str) -> bool:
            return value(text, rows_name) == 1 and (value(text, age_name) or 0) > 0

        def none(_: int, text: str) -> bool:
            return value(text, rows_name) == value(text, age_name) == 0

        await ready(quick)
        await shows(quick, "/metrics", none)  # the figures are of the process, and there were other workers in it
        await _limit(outside, 2_000)
        await outside.send_raw(Topic.MEMBERSHIP_COMMANDS, b"x" * 5_000, b"k")
        await shows(quick, "/metrics", one)
        await _limit(outside, 32 * 1024 * 1024)
        await shows(quick, "/metrics", none)


async def test_a_journal_of_the_future(settings: Settings, topics: list[str]) -> None:
    """A clock was wrong once: Kafka refuses records from the future, so their timestamps are the relay's own time."""
    await execute(settings, "update journal_head set time = now() + interval '2 years'")
    async with line(settings) as outside, working(settings):
        one = await outside.ask("user.register", {"user_id": "u"})
    assert datetime.fromisoformat(one.event["time"]) > datetime.now(UTC) + timedelta(days=700)


async def test_a_topic_that_is_gone(quick: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is published without it; readyz says which it is, of every worker, and all goes on with it."""
    monkeypatch.setattr("worker.line.mirror.MIRROR_SECONDS", 0.01)
    monkeypatch.setattr("worker.journal.backlog.STALLED_SECONDS_MAX", 0.5)
    settings = quick.model_copy(update={"kafka_seconds_max": 2.0})
    async with line(settings) as outside, working(settings):
        await ready(settings)
        name = outside.topic(REJECTIONS)
        async with kafka.admin(settings) as client:
            await client.delete_topics([name])
        await outside.send_raw(Topic.MEMBERSHIP_COMMANDS, b"no command", b"k")
        text = await shows(settings, "/readyz", lambda status, text: status == 503 and name in text)
        assert "nothing after the journal's row 0 was published for" in text
        text = await shows(
            settings, "/metrics", lambda _, text: bool(value(text, "segmentation_relay_stalled_seconds"))
        )
        await created_again(settings, name)
        await ready(settings)
        await shows(settings, "/metrics", lambda _, text: value(text, STALLED) == 0)


async def test_the_doctor_tells_of_a_journal_that_stands(settings: Settings) -> None:
    (well,) = await doctor._journal(settings)
    assert (well.is_good, well.message) == (True, "published up to 0")
    await execute(
        settings,
        "with head as (update journal_head set sequence = 1, time = now() - interval '1 hour' returning time) "
        "insert into journal (sequence, time, type, detail) select 1, time, 'command.rejected', '{}' from head",
    )
    (ill,) = await doctor._journal(settings)
    assert not ill.is_good
    assert "unpublished rows: 1; the first, 1, has waited for 3,600 s" in ill.message


async def _limit(outside: Line, size: int) -> None:
    async with kafka.admin(outside.settings) as client:
        config = {"max.message.bytes": str(size)}
        topic = outside.topic(REJECTIONS)
        await client.alter_configs([kafka.ConfigResource(kafka.ConfigResourceType.TOPIC, topic, config)])


def _transactions(outcome: str) -> float:
    return REGISTRY.get_sample_value(FAILED, {"outcome": outcome}) or 0
