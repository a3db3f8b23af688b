"""What Kafka's log must hold for a partition to go on."""

from __future__ import annotations

from uuid import UUID

import pytest

from worker.kafka.clients import TopicPartition
from worker.line.positions import compare, judge

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
