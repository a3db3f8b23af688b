"""Which events can be read, looked up from the ends of the partitions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import orjson
import pytest
from aiokafka.admin import RecordsToDelete

from schemas.topics import Topic, topic_name
from worker.journal.readable import Events
from worker.kafka import clients as kafka
from worker.kafka import ranges
from worker.kafka.ranges import Range
from worker.settings import Settings

EARLIER, OURS = "a" * 8, "b" * 8


@pytest.fixture
def places(settings: Settings, topics: list[str]) -> list[kafka.TopicPartition]:
    """The partitions of one topic."""
    name = topic_name(settings.topic_prefix, Topic.MEMBERSHIP_EVENTS)
    return [kafka.TopicPartition(name, number) for number in range(3)]


async def test_those_after_a_number(settings: Settings, places: list[kafka.TopicPartition]) -> None:
    """Also behind more aborted records than are looked at first, and beside what others have written."""
    one, two, _ = places
    await _write(settings, one, _events(OURS, range(1, 900, 2)))
    await _write(settings, one, _events(OURS, range(1_001, 1_300)), is_committed=False)
    await _write(settings, two, [b"no event", *_events(OURS, range(2, 900, 2)), b"{}", b'{"id": 5, "sequence": []}'])
    assert await _after(settings, places, 700) == set(range(701, 900))
    assert await _after(settings, places, 0) == set(range(1, 900))
    assert await _after(settings, places, 700, "read_uncommitted") == {*range(701, 900), *range(1_001, 1_300)}


async def test_an_earlier_journal(
    settings: Settings, places: list[kafka.TopicPartition], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its numbers are others' numbers, and nothing of this one comes before them: nobody reads on to the beginning."""
    await _write(settings, places[0], _events(EARLIER, range(1, 3_000)))
    await _write(settings, places[0], _events(OURS, range(1, 50)))
    read, spans = ranges.read, []

    async def noted(consumer: kafka.AIOKafkaConsumer, wanted: dict[kafka.TopicPartition, Range], *others: Any) -> None:
        spans.append(max((its.end - its.begin for its in wanted.values()), default=0))
        await read(consumer, wanted, *others)

    monkeypatch.setattr(ranges, "read", noted)
    assert await _after(settings, places, 0) == set(range(1, 50))
    assert max(spans) == 100


async def test_a_partition_that_begins_late(settings: Settings, places: list[kafka.TopicPartition]) -> None:
    """Retention has dropped what came before."""
    await _write(settings, places[0], _events(OURS, range(1, 300)))
    async with kafka.admin(settings) as client:
        await client.delete_records({places[0]: RecordsToDelete(before_offset=200)})
    assert await _after(settings, places, 100) == set(range(201, 300))


async def _after(
    settings: Settings,
    places: list[kafka.TopicPartition],
    number: int,
    isolation: Literal["read_committed", "read_uncommitted"] = "read_committed",
) -> set[int]:
    async with kafka.reading(settings) as consumer:
        begins = await consumer.beginning_offsets(places)
        ends = await consumer.end_offsets(places)
    wanted = {place: Range(begins[place], ends[place]) for place in places}
    return await Events(settings, OURS, isolation).after(number, wanted)


def _events(journal_id: str, numbers: Iterable[int]) -> list[bytes]:
    return [orjson.dumps({"id": f"{journal_id}-{number}", "sequence": str(number)}) for number in numbers]


async def _write(
    settings: Settings, place: kafka.TopicPartition, values: Iterable[bytes], *, is_committed: bool = True
) -> None:
    """One transaction."""
    producer = kafka.transactional_producer(settings, f"{settings.topic_prefix}.a-test")
    try:
        await producer.start()
        await producer.begin_transaction()
        sent = [await producer.send(place.topic, value, partition=place.partition) for value in values]
        for delivery in sent:
            await delivery
        await (producer.commit_transaction() if is_committed else producer.abort_transaction())
    finally:
        await kafka.abandon(producer.stop())
