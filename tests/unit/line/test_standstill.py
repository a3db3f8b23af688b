"""A partition whose records wait is stuck after a while; progress, and services that are away, begin the while anew."""

from __future__ import annotations

import pytest

from worker.kafka.clients import TopicPartition
from worker.line.assignment import Assignment
from worker.line.batch import Batch, Span
from worker.line.standstill import JOIN_SECONDS_EXTRA, Standstill
from worker.observability.progress import Progress

ONE, TWO = TopicPartition("t", 1), TopicPartition("t", 2)
SECONDS_MAX = 60.0


class Watched:
    """A partition at offset 10, and a clock."""

    def __init__(self) -> None:
        self.seconds = 1_000.0
        self.assignment = Assignment(lanes=1)
        self.assignment.give([ONE])
        self.assignment.hold(ONE, 1, 10)
        self.assignment.has_share = True
        self.standstill = Standstill(self.assignment, seconds_max=SECONDS_MAX, clock=lambda: self.seconds)

    def look(self, end: int = 10, after: float = 0.0, *, well: bool = True) -> list[str]:
        self.seconds += after
        self.standstill.look({ONE: end}, services_are_well=well)
        return list(self.standstill.stuck())


def test_records_that_wait_are_stuck_after_a_while() -> None:
    watched = Watched()
    assert watched.look(end=11) == []
    assert watched.look(end=12, after=60) == []
    assert watched.look(end=13, after=1) == ["partition t:1 has commands to be applied"]


def test_it_is_stuck_between_looks_too() -> None:
    watched = Watched()
    watched.look(end=11)
    watched.seconds += 61
    assert list(watched.standstill.stuck().values()) == [61]


def test_a_partition_without_records_is_well() -> None:
    watched = Watched()
    watched.look()
    assert watched.look(after=1_000) == []


def test_progress_begins_the_while_anew() -> None:
    watched = Watched()
    watched.look(end=20)
    watched.assignment.settled(Batch((), (Span("t", 1, 1, 10, 11),)))
    assert watched.look(end=20, after=50) == []
    assert watched.look(end=20, after=50) == []
    assert watched.look(end=20, after=50) != []
    watched.assignment.settled(Batch((), (Span("t", 1, 1, 11, 12),)))
    assert watched.look(end=20) == []


def test_services_that_are_away_are_no_fault_of_ours() -> None:
    watched = Watched()
    watched.look(end=11)
    assert watched.look(end=11, after=59, well=False) == []
    assert watched.look(end=11, after=59) == []
    assert watched.look(end=11, after=59) != []


@pytest.mark.parametrize("share", [True, False])
def test_a_position_or_a_share_that_does_not_come_is_noticed(share: bool) -> None:
    watched = Watched()
    watched.assignment.take([ONE])
    watched.assignment.has_share = share
    if share:
        watched.assignment.give([TWO])
    watched.look()
    assert watched.look(after=60) == []
    assert watched.look(after=1 + (0 if share else JOIN_SECONDS_EXTRA)) != []


def test_livez_hears_of_it() -> None:
    watched = Watched()
    progress = Progress(SECONDS_MAX, lambda: watched.seconds)
    progress.ask(watched.standstill.stuck)
    watched.look(end=11)
    assert progress.stuck() == {}
    watched.seconds += 61
    assert progress.stuck() == {"partition t:1 has commands to be applied": 61}
