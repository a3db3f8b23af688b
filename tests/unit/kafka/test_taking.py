"""What a poll takes of what was fetched, and what it tells of batches that can't be read."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import READ_COMMITTED, PartitionRecords
from aiokafka.errors import CorruptRecordException

from tests.support.batches import CODECS, batch
from worker.kafka import streams
from worker.kafka.fetched import HEADER_BYTES, Batches, Budget, Results, Taking

PLACE = TopicPartition("commands", 0)


class State:
    """Of a partition that is read."""

    paused = False

    def __init__(self) -> None:
        self.position = 0

    def consumed_to(self, position: int) -> None:
        """As aiokafka notes it."""
        self.position = position


def taking(data: bytes, budget: Budget | None, *, checks: bool = False) -> tuple[Taking, State]:
    """What was fetched, in a consumer's results."""
    state = State()
    assignment = SimpleNamespace(active=True, state_value=lambda _: state)
    records = PartitionRecords(PLACE, Batches(data), [], 0, None, None, checks, READ_COMMITTED)
    if budget is None:
        return Taking(PLACE, assignment=assignment, partition_records=records, backoff=0), state
    results = Results(budget)
    results[PLACE] = Taking(PLACE, assignment=assignment, partition_records=records, backoff=0)
    return cast("Taking", results[PLACE]), state


@pytest.mark.parametrize("codec", [0, streams.ZSTD])
def test_records_are_taken_by_their_bytes(codec: int) -> None:
    budget = Budget(10_000, 1 << 20)
    result, state = taking(batch(codec, [b"x" * 3_000] * 10), budget)
    taken = []
    while result.has_more():
        budget.renew()
        records = result.getall(100)
        assert sum(len(record.value) for record in records) <= 12_000
        taken.append(len(records))
        assert state.position == sum(taken)
    assert sum(taken) == 10
    assert taken[:3] == [4, 4, 2]


def test_an_empty_budget_leaves_all_where_it_is() -> None:
    budget = Budget(1, 1 << 20)
    result, state = taking(batch(0, [b"a", b"b"]), budget)
    assert [len(result.getall(100)) for _ in range(2)] == [1, 0]
    assert (result.has_more(), state.position) == (True, 1)


def test_the_number_is_bounded_as_well() -> None:
    result, _ = taking(batch(0, [b"a"] * 5), Budget(1 << 20, 1 << 20))
    assert [len(result.getall(2)) for _ in range(3)] == [2, 2, 1]


def test_what_cannot_be_read_is_told_after_what_can() -> None:
    """With its place; what was read of another partition at the same time would be lost with an exception."""
    good, bad = batch(0, [b"a", b"b"]), bytearray(batch(streams.ZSTD, [b"c" * 300] * 3))
    bad[:8], bad[-20:] = (2).to_bytes(8), bytes(20)
    budget = Budget(1 << 20, 1 << 20)
    result, state = taking(good + bytes(bad), budget)
    assert [record.value for record in result.getall(100)] == [b"a", b"b"]
    assert (result.has_more(), state.position, budget.unreadable) == (False, 2, {})
    result, state = taking(bytes(bad), budget)
    assert result.getall(100) == []
    found = budget.unreadable[PLACE]
    assert (found.begin, found.end, state.position) == (2, 5, 0)
    assert found.reason
    with pytest.raises(CorruptRecordException, match=r"the batch of records at offset 2 can't be read: ."):
        list(Batches(bytes(bad)).next_batch())
    assert (result.has_more(), result.getall(100)) == (False, [])


@pytest.mark.parametrize("codec", [streams.NONE, *CODECS.values()], ids=["none", *CODECS])
@pytest.mark.parametrize("checks", [True, False], ids=["by its checksum", "by its content"])
def test_any_reader_is_told_what_cannot_be_read(codec: int, checks: bool) -> None:
    """By one kind of error, whatever the parser raises, with the place; and after what can be read."""
    good, bad = batch(codec, [b"a", b"b"]), bytearray(batch(codec, [b"c" * 300] * 3))
    bad[:8] = (2).to_bytes(8)
    bad[HEADER_BYTES:] = b"\xff" * (len(bad) - HEADER_BYTES)
    result, state = taking(good + bytes(bad), None, checks=checks)
    assert [record.value for record in result.getall(100)] == [b"a", b"b"]
    assert (result.has_more(), state.position) == (True, 2)
    name = f"{PLACE.topic}:{PLACE.partition}"
    said = rf"{name}: the batch of records with the offsets 2 to 4 can't be read \(.+\)\. Try again.* the offset 5"
    with pytest.raises(CorruptRecordException, match=said):
        result.getall(100)
    assert (result.has_more(), result.getall(100), state.position) == (False, [], 2)


@pytest.mark.parametrize("length", [-1, 0, 48])
def test_a_batch_that_is_shorter_than_its_header(length: int) -> None:
    """aiokafka's compiled parser would read what lies behind it in memory."""
    bad = bytearray(batch(streams.NONE, [b"v"]))
    bad[8:12] = length.to_bytes(4, signed=True)
    result, _ = taking(bytes(bad), None, checks=True)
    assert result.getall(100) == []
    with pytest.raises(CorruptRecordException, match=r"with the offset 0 can't be read .*shorter than its header"):
        result.getall(100)
