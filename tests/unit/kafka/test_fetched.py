"""Batches of records are read as a whole, and large compressed ones in pieces."""

from __future__ import annotations

import gc
import gzip
import threading
from collections.abc import Callable
from typing import Any

import pytest
from aiokafka.codec import snappy_encode
from aiokafka.errors import CorruptRecordException
from aiokafka.record import default_records
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords
from hypothesis import given, settings
from hypothesis import strategies as some

from schemas.cut import size_of
from schemas.decode import Command, decode
from schemas.topics import Topic
from tests.support.batches import CODECS, Headers, Name, batch, builder
from worker.kafka import fetched, streams
from worker.kafka.fetched import Batches


def read(data: bytes, value_bytes_max: int = 1 << 20) -> tuple[list[Any], bool]:
    """All records, and whether one of the batches was taken in pieces."""
    batches, found, in_pieces = Batches(data), [], False
    batches.value_bytes_max = value_bytes_max
    while batches.has_next():
        records = iter(batches.next_batch())
        in_pieces = in_pieces or records.__name__ == "_in_pieces"
        found += [(r.offset, r.timestamp, r.timestamp_type, r.key, r.value, list(r.headers)) for r in records]
    return found, in_pieces


def expected(data: bytes) -> list[Any]:
    """As aiokafka reads them."""
    batches, found = MemoryRecords(data), []
    while batches.has_next():
        found += [
            (r.offset, r.timestamp, r.timestamp_type, r.key, r.value, list(r.headers)) for r in batches.next_batch()
        ]
    return found


@pytest.mark.parametrize("codec", [0, *CODECS.values()], ids=["none", *CODECS])
@pytest.mark.parametrize("limit", [0, 1 << 23], ids=["in pieces", "whole"])
@settings(max_examples=20, deadline=None)
@given(
    values=some.lists(some.none() | some.binary(max_size=300_000), min_size=1, max_size=5),
    key=some.none() | some.binary(max_size=10),
    headers=some.lists(some.tuples(some.text(max_size=5), some.none() | some.binary(max_size=10)), max_size=3),
)
def test_the_same_as_without(
    codec: int, limit: int, values: list[bytes | None], key: bytes | None, headers: Headers
) -> None:
    data = batch(codec, values, key=key, headers=headers) + batch(codec, values[:1], key=key)
    before, fetched.BATCH_BYTES_MAX = fetched.BATCH_BYTES_MAX, limit
    try:
        found, in_pieces = read(data)
    finally:
        fetched.BATCH_BYTES_MAX = before
    assert found == expected(data)
    assert in_pieces is (codec != 0 and limit == 0)


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
@pytest.mark.parametrize("extra", [-1, 1])
def test_the_limit_is_exact(codec: int, extra: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As far as a decision costs: zstd is judged by blocks of 128 KiB."""
    data = batch(codec, [b"x" * 1_000_000])
    size = 1_000_000 + 20 + (0 if codec != streams.ZSTD else streams.ZSTD_BLOCK_BYTES_MAX)
    monkeypatch.setattr(fetched, "BATCH_BYTES_MAX", size if extra > 0 else 999_999)
    assert read(data)[1] is (extra < 0)


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_what_is_too_large_is_cut(codec: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One byte more than is taken: it will be refused as too large, and the records after it are whole."""
    monkeypatch.setattr(fetched, "BATCH_BYTES_MAX", 1_000)
    found, _ = read(batch(codec, [b"x" * 3_000_000, b"after"]), value_bytes_max=1_000)
    assert [value for *_, value, _ in found] == [b"x" * 1_001, b"after"]
    assert [size_of(value) for *_, value, _ in found] == [3_000_000, 5]
    key = read(batch(codec, [b""], key=b"k" * 3_000_000), value_bytes_max=1_000)[0][0][3]
    assert (len(key), size_of(key)) == (1_001, 3_000_000)


@pytest.mark.parametrize("limit", [0, 1 << 23], ids=["in pieces", "whole"])
def test_the_verdict_does_not_depend_on_the_batch(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Attributes count wherever they stand among the headers."""
    monkeypatch.setattr(fetched, "BATCH_BYTES_MAX", limit)
    attributes = {"CE_specversion": b"1.0", "ce_id": b"c1", "ce_source": b"/s", "ce_time": b"2025-01-31T10:00:00Z"}
    attributes |= {"ce_type": b"segmentation.user.register.v1", "Content-Type": b"application/json"}
    others: Headers = [(f"h{number}", b"x") for number in range(150)]
    headers: Headers = [*others, ("none", None), *attributes.items()]
    data = batch(streams.ZSTD, [b'{"user_id": "k"}'], headers=headers)
    ((*_, value, kept),), in_pieces = read(data)
    assert in_pieces is (limit == 0)
    assert isinstance(decode(value, kept, b"k", Topic.MEMBERSHIP_COMMANDS, 1_000, 1 << 20), Command)


def test_the_headers_that_are_kept_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetched, "BATCH_BYTES_MAX", 0)
    headers: Headers = [(f"{name}{number}", b"x") for name in ("h", "ce_") for number in range(150)]
    ((*_, kept), after), _ = read(batch(streams.ZSTD, [b"v", b"after"], headers=headers))
    assert [name for name, _ in kept] == [f"{name}{number}" for name in ("h", "ce_") for number in range(100)]
    assert after[4] == b"after"


def test_a_bomb_costs_as_much_as_is_taken_of_it() -> None:
    """A few KiB that would be gigabytes."""
    data = batch(streams.ZSTD, [b"\0" * 2**24] * 4)
    assert len(data) < 10_000
    batches = Batches(data)
    batches.value_bytes_max = 1_000
    threads = threading.active_count()
    records = iter(batches.next_batch())
    assert len(next(records).value) == 1_001
    assert threading.active_count() == threads + 1
    del records
    gc.collect()
    assert threading.active_count() == threads


def test_a_bomb_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The records that nobody waits for are too large, each in its place."""
    monkeypatch.setattr(fetched, "BATCH_BYTES_MAX", 1_000)
    monkeypatch.setattr(streams, "STREAM_BYTES_MAX", 250_000)
    found, _ = read(batch(streams.ZSTD, [b"x" * 100_000] * 5), value_bytes_max=1_000)
    assert [offset for offset, *_ in found] == list(range(5))
    assert [size_of(value) for *_, value, _ in found][-1] is None
    assert {size_of(value) for *_, value, _ in found} == {100_000, None}


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_garbage_in_a_large_batch_is_told(codec: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetched, "BATCH_BYTES_MAX", 0)
    data = bytearray(batch(codec, [bytes(range(256)) * 400] * 3))
    data[-len(data) // 3 :] = bytes(len(data) // 3 + 1)[: len(data[-len(data) // 3 :])]
    with pytest.raises(CorruptRecordException):
        read(bytes(data))


@pytest.mark.parametrize("codec", [0, *CODECS.values()], ids=["none", *CODECS])
@pytest.mark.parametrize("value_bytes_max", [None, 1_000], ids=["any reader", "the worker"])
@pytest.mark.parametrize("form", ["compiled", "Python", "in pieces"])
def test_a_name_of_a_header_may_be_anything(
    codec: int, value_bytes_max: int | None, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each record comes once, and keeps what is text, however many headers it has."""
    if form == "Python":
        monkeypatch.setattr(fetched, "DefaultRecordBatch", _DefaultRecordBatchPy)
    if form == "in pieces":
        monkeypatch.setattr(fetched, "BATCH_BYTES_MAX", 0)
    many: Headers = [(f"h{number}", b"") for number in range(60)]
    headers: list[Headers] = [[("a", b"1")], [("b", None), (Name(b"ce_\xff\xfe"), b"2"), ("c", b"3")], many]
    made = builder(codec)
    for offset, found in enumerate(headers):
        assert made.append(offset, 1_000 + offset, b"k%d" % offset, b"v" * 900, found)
    batches = Batches(bytes(made.build()))
    batches.value_bytes_max = value_bytes_max
    records = list(batches.next_batch())
    assert [(r.offset, r.timestamp, r.key, r.value) for r in records] == [
        (offset, 1_000 + offset, b"k%d" % offset, b"v" * 900) for offset in range(3)
    ]
    assert [list(r.headers) for r in records] == [
        [("a", b"1")],
        [("b", None), ("ce_\ufffd\ufffd", b"2"), ("c", b"3")],
        many,
    ]


def _two_members(data: bytes) -> bytes:
    return gzip.compress(data[:1_000]) + gzip.compress(b"") + gzip.compress(data[1_000:]) + b"no member"


def _two_streams(data: bytes) -> bytes:
    return bytes(snappy_encode(data[:1_000]) + snappy_encode(data[1_000:]))


@pytest.mark.parametrize("value_bytes_max", [None, 1 << 20], ids=["any reader", "the worker"])
@pytest.mark.parametrize("limit", [0, 1 << 23], ids=["in pieces", "whole"])
@pytest.mark.parametrize("form", ["compiled", "Python"])
@pytest.mark.parametrize(
    ("codec", "encode"), [("gzip", _two_members), ("snappy", _two_streams)], ids=["gzip", "snappy"]
)
def test_what_was_compressed_in_several_streams(
    codec: str,
    encode: Callable[[bytes], bytes],
    form: str,
    limit: int,
    value_bytes_max: int | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Java's clients read them, too, and the broker lets them pass."""
    if form == "Python":
        monkeypatch.setattr(fetched, "DefaultRecordBatch", _DefaultRecordBatchPy)
    monkeypatch.setattr(fetched, "BATCH_BYTES_MAX", limit)
    monkeypatch.setattr(default_records, f"{codec}_encode", encode)
    made = builder(CODECS[codec])
    for offset in range(3):
        assert made.append(offset, 1_000, b"k", b"v" * 900, [])
    batches = Batches(bytes(made.build()))
    batches.value_bytes_max = value_bytes_max
    assert [(r.offset, r.value) for r in batches.next_batch()] == [(offset, b"v" * 900) for offset in range(3)]


def test_a_bomb_behind_an_empty_member_is_large() -> None:
    payload = gzip.compress(b"") + gzip.compress(bytes(2_000))
    assert [streams.is_small(streams.GZIP, memoryview(payload), limit) for limit in (1_999, 2_000)] == [False, True]
