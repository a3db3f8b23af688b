"""How events become Kafka's batches: all of them, each partition's in order, large ones apart."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from zlib import crc32

import pytest
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.memory_records import MemoryRecords

from worker.journal.encode import Event
from worker.journal.publisher import batches as _batches
from worker.kafka import clients as kafka
from worker.kafka.clients import PRODUCE_BATCH_BYTES
from worker.settings import Settings

HEADERS = [("content-type", b"application/cloudevents+json")]
PARTITIONS = {"t.a": 3, "t.b": 1}


@pytest.fixture
async def producer() -> AsyncIterator[kafka.AIOKafkaProducer]:
    made = kafka.transactional_producer(Settings(kafka_bootstrap_servers="localhost:1"), "t")
    yield made
    await made.stop()


def event(topic: str, key: bytes | None, value: bytes) -> Event:
    return Event(topic, key, value, 1_738_317_600_000, 1, HEADERS)


def written(
    batches: dict[tuple[str, int], list[Any]],
) -> dict[tuple[str, int], list[tuple[bytes | None, bytes, Any, int]]]:
    """The records as a broker would find them."""
    found: dict[tuple[str, int], list[tuple[bytes | None, bytes, Any, int]]] = {}
    for place, builder in [(place, builder) for place, builders in batches.items() for builder in builders]:
        memory = MemoryRecords(bytes(builder._build()))
        while memory.has_next():
            batch: DefaultRecordBatch = memory.next_batch()
            records = [(record.key, record.value, list(record.headers), record.timestamp) for record in batch]
            found.setdefault(place, []).extend(records)
    return found


async def test_each_key_has_its_partition_in_order(producer: kafka.AIOKafkaProducer) -> None:
    events = [event(topic, b"k%d" % (n % 7), b"%d" % n) for n in range(50) for topic in PARTITIONS]
    found = written(_batches(producer, PARTITIONS, events, crc32, {}))
    assert sum(map(len, found.values())) == 100
    for (topic, partition), records in found.items():
        assert [int(value) for _, value, _, _ in records] == sorted(int(value) for _, value, _, _ in records)
        assert {crc32(key or b"") % PARTITIONS[topic] for key, _, _, _ in records} == {partition}
        assert all(record[2:] == (HEADERS, 1_738_317_600_000) for record in records)


async def test_more_than_one_batch_for_a_partition(producer: kafka.AIOKafkaProducer) -> None:
    """None is larger than the limit, and the order goes over from one to the next."""
    events = [event(topic, b"k", bytes([65 + n]) * 200_000) for n in range(5) for topic in PARTITIONS]
    batches = _batches(producer, PARTITIONS, events, crc32, {})
    assert [len(builders) for builders in batches.values()] == [3, 3]
    assert max(builder.size() for builders in batches.values() for builder in builders) <= PRODUCE_BATCH_BYTES
    for records in written(batches).values():
        assert [value[:1] for _, value, _, _ in records] == [b"A", b"B", b"C", b"D", b"E"]


async def test_one_that_is_larger_than_a_batch(producer: kafka.AIOKafkaProducer) -> None:
    large = b"x" * (PRODUCE_BATCH_BYTES * 3)
    events = [event("t.b", b"k", b"first"), event("t.b", b"k", large), event("t.b", b"k", b"last")]
    assert [value for _, value, _, _ in written(_batches(producer, PARTITIONS, events, crc32, {}))["t.b", 0]] == [
        b"first",
        large,
        b"last",
    ]


async def test_no_events_no_batches(producer: kafka.AIOKafkaProducer) -> None:
    assert _batches(producer, PARTITIONS, [], crc32, {}) == {}


async def test_no_key(producer: kafka.AIOKafkaProducer) -> None:
    found = written(_batches(producer, PARTITIONS, [event("t.a", None, b"v")], crc32, {}))
    assert [record[:2] for record in found["t.a", 0]] == [(None, b"v")]
