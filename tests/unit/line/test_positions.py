"""What Kafka's log must hold for a partition to go on."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import cast
from uuid import UUID

import pytest
from aiokafka.errors import KafkaTimeoutError

from worker.errors import Unavailable
from worker.kafka.clients import AIOKafkaConsumer, TopicPartition
from worker.line.positions import bounds, compare, judge
from worker.settings import Settings

PARTITION = TopicPartition("segmentation.membership-commands", 4)
NAME = "segmentation.membership-commands:4"


@pytest.mark.parametrize(("position", "begin", "end"), [(0, 0, 0), (5, 5, 9), (9, 5, 9), (7, 0, 9)])
def test_all_is_well_within_the_log(position: int, begin: int, end: int) -> None:
    assert judge(PARTITION, position, begin, end) is None


def test_the_log_begins_too_late() -> None:
    problem = judge(PARTITION, 4, 5, 9)
    assert problem is not None
    assert "offset 4" in problem
    assert "begins at 5" in problem
    assert f"`segmentation reset positions {NAME} --to earliest`" in problem


def test_the_log_ends_too_early() -> None:
    problem = judge(PARTITION, 10, 5, 9)
    assert problem is not None
    assert "offset 10" in problem
    assert "ends at 9" in problem
    assert f"`segmentation reset positions {NAME} --to earliest`" in problem
    assert "`--to latest`" in problem


@pytest.mark.parametrize(
    ("stored", "topic_id"), [(None, None), (None, UUID(int=1)), (UUID(int=1), None), (UUID(int=1), UUID(int=1))]
)
def test_it_is_the_same_topic(stored: UUID | None, topic_id: UUID | None) -> None:
    """Also as far as anybody knows: brokers and versions that tell no id."""
    assert compare(PARTITION, stored, topic_id) is None


def test_it_is_another_topic() -> None:
    problem = compare(PARTITION, UUID(int=1), UUID(int=2))
    assert problem is not None
    assert "`segmentation reset positions segmentation.membership-commands --to earliest`" in problem


class Kafka:
    """Tells offsets, but not those of the partitions that are silent, nor anything where one of them is asked for."""

    def __init__(self, *silent: TopicPartition, leaderless: TopicPartition | None = None) -> None:
        self.silent = silent
        self.asked: list[list[TopicPartition]] = []
        self.refreshed = 0
        cluster = SimpleNamespace(leader_for_partition=lambda place: -1 if place == leaderless else 1)
        self._client = SimpleNamespace(cluster=cluster, force_metadata_update=self._refresh)

    def _refresh(self) -> None:
        self.refreshed += 1

    async def beginning_offsets(self, places: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        self.asked.append(list(places))
        if set(places) & set(self.silent):
            raise KafkaTimeoutError
        return dict.fromkeys(places, 3)

    async def end_offsets(self, places: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        if set(places) & set(self.silent):
            raise KafkaTimeoutError
        return dict.fromkeys(places, 7)


ONE, TWO, THREE = (TopicPartition("t", number) for number in range(3))


async def told(kafka: Kafka) -> tuple[dict[TopicPartition, int], dict[TopicPartition, int]]:
    return await bounds(cast("AIOKafkaConsumer", kafka), Settings(), [ONE, TWO, THREE])


async def test_all_partitions_are_asked_for_at_once() -> None:
    kafka = Kafka()
    assert await told(kafka) == (dict.fromkeys([ONE, TWO, THREE], 3), dict.fromkeys([ONE, TWO, THREE], 7))
    assert kafka.asked == [[ONE, TWO, THREE]]


async def test_a_partition_that_is_not_answered_for_holds_up_no_other() -> None:
    begins, ends = await told(Kafka(TWO))
    assert begins.keys() == ends.keys() == {ONE, THREE}


async def test_a_partition_without_a_leader_is_not_even_asked_for() -> None:
    """Asking takes seconds, in which nothing is read of the others."""
    kafka = Kafka(TWO, leaderless=TWO)
    begins, _ = await told(kafka)
    assert begins.keys() == {ONE, THREE}
    assert kafka.asked == [[ONE, THREE]]
    assert kafka.refreshed == 1, "so that a new leader is noticed"


async def test_no_answer_at_all_is_another_matter() -> None:
    with pytest.raises(Unavailable, match="t:0, t:1, t:2"):
        await told(Kafka(ONE, TWO, THREE))
