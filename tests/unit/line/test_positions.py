"""What Kafka's log must hold for a partition to go on."""

from __future__ import annotations

import pytest

from worker.kafka.clients import TopicPartition
from worker.line.positions import judge

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
