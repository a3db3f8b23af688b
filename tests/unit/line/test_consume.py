"""What the reader does when something goes wrong: nothing is skipped, and nothing of another owner is touched."""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.support.lanes import lanes_of
from worker.errors import Unavailable
from worker.kafka.clients import AIOKafkaConsumer, KafkaError, TopicPartition
from worker.line.assignment import Assignment
from worker.line.batch import Batch, Span
from worker.line.consume import Consumer
from worker.observability.progress import Progress
from worker.postgres.session import Session
from worker.settings import Settings

ONE, TWO = TopicPartition("t", 1), TopicPartition("t", 2)


class Client:
    """Has partitions assigned; like aiokafka it refuses to pause or seek any other."""

    def __init__(self, *assigned: TopicPartition) -> None:
        self.assigned = set(assigned)
        self.paused: set[TopicPartition] = set()
        self.sought: dict[TopicPartition, int] = {}
        self.has_ended = False
        self.begin, self.at = 0, 10
        self._client = SimpleNamespace(cluster=SimpleNamespace(leader_for_partition=lambda _: 1))
        self._coordinator = SimpleNamespace(_coordination_task=SimpleNamespace(done=lambda: self.has_ended))

    def assignment(self) -> frozenset[TopicPartition]:
        return frozenset(self.assigned)

    async def position(self, partition: TopicPartition) -> int:
        return self.at

    async def beginning_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, self.begin)

    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 100)

    def pause(self, *partitions: TopicPartition) -> None:
        assert self.assigned.issuperset(partitions)
        self.paused |= set(partitions)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        assert partition in self.assigned
        self.sought[partition] = offset


def reader_of(client: Client, held: Iterable[TopicPartition]) -> tuple[Consumer, Assignment]:
    assignment = Assignment(lanes=1)
    for place in held:
        assignment.hold(place, 3, 10)
    reader = Consumer(
        Settings(),
        cast("AIOKafkaConsumer", client),
        cast("Session", None),
        lanes_of(1),
        assignment,
        Progress(60).watch("consume"),
    )
    return reader, assignment


async def test_after_an_error_every_partition_is_read_from_where_it_is() -> None:
    """The client may have gone over records that it did not hand out; a gap would be taken for harmless."""
    client = Client(ONE, TWO)
    reader, assignment = reader_of(client, [ONE, TWO])
    assignment.held[TWO].next_offset = 25
    await reader._recover(KafkaError("x"), is_to_wait=False)
    assert client.sought == {ONE: 10, TWO: 25}


async def test_a_partition_that_was_taken_away_is_left_alone() -> None:
    client = Client(ONE)
    reader, _ = reader_of(client, [ONE, TWO])
    await reader._recover(KafkaError("x"), is_to_wait=False)
    assert client.sought == {ONE: 10}
    reader._halt(TWO, "a problem")
    assert client.paused == set()


async def test_a_client_that_has_left_the_group_for_good_ends_the_worker() -> None:
    client = Client(ONE)
    client.has_ended = True
    reader, _ = reader_of(client, [ONE])
    with pytest.raises(Unavailable, match="has left the group"):
        await reader._recover(KafkaError("x"), is_to_wait=False)


async def test_what_is_read_again_is_paused_until_its_position_is_known() -> None:
    """Else the backlog would be fetched and dropped at full speed meanwhile."""
    client = Client(ONE, TWO)
    reader, assignment = reader_of(client, [ONE, TWO])
    reader.unsettle(Batch((), (Span("t", 1, 3, 10, 12), Span("t", 2, 2, 10, 12))))
    assert client.paused == {ONE}
    assert assignment.wanted == {ONE}


async def test_what_was_handed_out_before_the_position_comes_again() -> None:
    client = Client(ONE)
    reader, assignment = reader_of(client, [ONE])
    record: Any = SimpleNamespace(offset=7)
    assert await reader._accept({ONE: [record], TWO: [record]}) == {}
    assert (assignment.wanted, client.paused) == ({ONE}, {ONE})


async def test_what_is_no_record_is_gone_over() -> None:
    """Transaction markers, at the end of a partition that is otherwise applied."""
    client = Client(ONE)
    reader, assignment = reader_of(client, [ONE])
    client.at = 12
    await reader._advance()
    assert assignment.held[ONE].next_offset == 12


async def test_what_retention_has_removed_is_not_gone_over() -> None:
    """The client goes to the beginning of the log by itself; its new position looks like one after markers."""
    client = Client(ONE)
    reader, assignment = reader_of(client, [ONE])
    client.begin = client.at = 59
    await reader._advance()
    assert "begins at 59" in assignment.halted[ONE]
