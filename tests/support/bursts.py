"""Bursts of what is large, many or worthless, as one sender may send it."""

from __future__ import annotations

import base64
import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import orjson

from schemas.envelope import qualified
from schemas.topics import Topic, topic_name
from worker.kafka import clients as kafka
from worker.settings import Settings

COMMAND_BYTES = 250 * 1024
SEGMENTS = 1_000


def _register(number: int, padding: str) -> tuple[bytes, bytes]:
    user = f"u{number}"
    event = {
        "specversion": "1.0",
        "id": f"c{number}",
        "source": "/bursts",
        "type": qualified("user.register"),
        "data": {"user_id": user},
        "padding": padding,
    }
    return user.encode(), orjson.dumps(event)


def large_commands(count: int) -> Iterator[tuple[bytes, bytes]]:
    """Good commands with much in them that is ignored; a compressed batch of them is small."""
    return (_register(number, "x" * COMMAND_BYTES) for number in range(count))


def largest_commands(count: int) -> Iterator[tuple[bytes, bytes]]:
    """The same, of what can't be compressed."""
    noise = base64.b64encode(random.Random(1).randbytes(COMMAND_BYTES * 3 // 4)).decode()
    return (_register(number, noise) for number in range(count))


def large_garbage(count: int) -> Iterator[tuple[bytes, bytes]]:
    """Zeros."""
    return ((b"k", bytes(COMMAND_BYTES * 4)) for _ in range(count))


def tiny_garbage(count: int) -> Iterator[tuple[bytes, bytes]]:
    """A byte each."""
    return ((b"k", b"x") for _ in range(count))


def changes(count: int) -> Iterator[tuple[bytes, bytes]]:
    """Commands with as many segments as one may have."""
    add = [f"segment-{number}-with-a-name-of-some-length" for number in range(SEGMENTS)]
    for number in range(count):
        event: dict[str, Any] = {
            "specversion": "1.0",
            "id": f"m{number}",
            "source": "/bursts",
            "type": qualified("membership.change"),
            "data": {"user_id": f"u{number % 50}", "add": add},
        }
        yield f"u{number % 50}".encode(), orjson.dumps(event)


BURSTS: dict[str, tuple[Callable[[int], Iterator[tuple[bytes, bytes]]], str | None]] = {
    "large commands, compressed": (large_commands, "zstd"),
    "largest commands": (largest_commands, None),
    "large garbage, compressed": (large_garbage, "zstd"),
    "tiny garbage": (tiny_garbage, "lz4"),
    "commands with 1,000 segments": (changes, "gzip"),
}
"""Each with how it is compressed."""


async def send(settings: Settings, name: str, count: int, *, batch_bytes: int = 1024 * 1024) -> None:
    """Send a burst to one partition, in batches of so many bytes before compression."""
    make, compression = BURSTS[name]
    topic = topic_name(settings.topic_prefix, Topic.MEMBERSHIP_COMMANDS)
    async with _producing(settings, compression, batch_bytes) as producer:
        batch = producer.create_batch()
        for key, value in make(count):
            if batch.append(timestamp=None, key=key, value=value) is None:
                await (await producer.send_batch(batch, topic, partition=0))
                batch = producer.create_batch()
                batch.append(timestamp=None, key=key, value=value)
        await (await producer.send_batch(batch, topic, partition=0))


@asynccontextmanager
async def _producing(
    settings: Settings, compression: str | None, batch_bytes: int
) -> AsyncIterator[kafka.AIOKafkaProducer]:
    producer = kafka.AIOKafkaProducer(
        bootstrap_servers=settings.kafka_bootstrap_servers,
        compression_type=compression,
        max_batch_size=batch_bytes,
        max_request_size=2**30,
    )
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()
