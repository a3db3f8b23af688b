"""Batches of records as no ordinary client writes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from aiokafka.record.default_records import DefaultRecordBatchBuilder, _DefaultRecordBatchBuilderPy

from worker.kafka import streams
from worker.kafka.clients import AIOKafkaProducer
from worker.settings import Settings

CODECS = {"gzip": streams.GZIP, "snappy": streams.SNAPPY, "lz4": streams.LZ4, "zstd": streams.ZSTD}
Headers = list[tuple[str, bytes | None]]


class Name(str):
    """A header's name of any bytes."""

    __slots__ = ("raw",)
    raw: bytes

    def __new__(cls, raw: bytes) -> Name:
        """The bytes are what is written."""
        made = super().__new__(cls, raw.decode("latin-1"))
        made.raw = raw
        return made

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """As the pure-Python parser's counterpart asks for it."""
        return self.raw


class Raw(NamedTuple):
    """A record."""

    value: bytes | None
    key: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = ()


def builder(codec: int) -> Any:
    """aiokafka's builder in Python, which takes names of any bytes."""
    return _DefaultRecordBatchBuilderPy(2, codec, False, -1, -1, -1, 1 << 30)


def batch(codec: int, values: list[bytes | None], *, key: bytes | None = b"k", headers: Headers | None = None) -> bytes:
    """A batch as producers write it."""
    builder = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, 1 << 30)
    for offset, value in enumerate(values):
        assert builder.append(offset, 1_000 + offset, key, value, headers or [])
    return bytes(builder.build())


async def send(settings: Settings, topic: str, partition: int, codec: int, records: Sequence[Raw]) -> int:
    """Send the records as one batch; returns the offset of the first one."""
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap_servers, max_request_size=1 << 30)
    await producer.start()
    try:
        batch = producer.create_batch()
        batch._builder = builder(codec)
        for record in records:
            assert batch.append(timestamp=None, key=record.key, value=record.value, headers=list(record.headers))
        batch.close()
        sent = await (await producer.send_batch(batch, topic, partition=partition))
        return int(sent.offset)
    finally:
        await producer.stop()
