"""Records as clients hand them out, in one form: aiokafka has attributes, confluent-kafka has methods."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from typing import Any, NamedTuple

from schemas.reader.errors import UnexpectedRecordError

PARTITION_EOF = -191
"""librdkafka's code of the message that says: this is the partition's end."""

Partition = tuple[str, int]
"""Topic and number; aiokafka's TopicPartition is equal to it."""


class Taken(NamedTuple):
    """A record."""

    partition: Partition
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Iterable[tuple[str, bytes | None]]

    def fingerprint(self) -> bytes:
        """Tells it from another record at the same place."""
        told = blake2b(digest_size=8)
        for part in (self.key, self.value):
            told.update(b"-" if part is None else b"+%d:" % len(part) + part)
        for name, value in self.headers:
            told.update(name.encode() + b"=" + (value or b""))
        return told.digest()


class End(NamedTuple):
    """Nothing lies before this offset that was not handed over."""

    partition: Partition
    offset: int


def taken(records: Iterable[Any] | Mapping[Any, Iterable[Any]]) -> Iterator[Taken | End]:
    """The records of an iterable, or of what aiokafka's `getmany` returns; raises UnexpectedRecordError."""
    for record in _flat(records):
        try:
            yield _of_methods(record) if callable(record.topic) else _of_attributes(record)
        except AttributeError:
            raise UnexpectedRecordError(
                f"A {type(record).__name__} was handed over, which is no record of aiokafka or confluent-kafka"
            ) from None


def _flat(records: Iterable[Any] | Mapping[Any, Iterable[Any]]) -> Iterator[Any]:
    if isinstance(records, Mapping):
        for some in records.values():
            yield from some
    else:
        yield from records


def _of_attributes(record: Any) -> Taken:
    key, value = _bytes(record, record.key), _bytes(record, record.value)
    return Taken((record.topic, record.partition), record.offset, key, value, record.headers or ())


def _of_methods(message: Any) -> Taken | End:
    partition = message.topic(), message.partition()
    error = message.error()
    if error is not None:
        if error.code() == PARTITION_EOF:
            return End(partition, message.offset())
        raise UnexpectedRecordError(f"The client handed over an error instead of a record: {error}")
    key, value = _bytes(message, message.key()), _bytes(message, message.value())
    return Taken(partition, message.offset(), key, value, message.headers() or ())


def _bytes(record: Any, part: Any) -> bytes | None:
    if part is None or isinstance(part, bytes):
        return part
    raise UnexpectedRecordError(
        f"A {type(record).__name__} was handed over with a {type(part).__name__} in it: the reader takes keys and "
        "values as bytes, so leave the consumer's deserializers out"
    )
