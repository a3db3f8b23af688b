"""When a partition is halted for a batch that can't be read, and when it is read again."""

from __future__ import annotations

from worker.kafka.clients import TopicPartition
from worker.kafka.fetched import Unreadable
from worker.line import unreadable
from worker.line.assignment import Assignment
from worker.line.unreadable import Stops

ONE, TWO = TopicPartition("t", 1), TopicPartition("t", 2)
BATCH = Unreadable(12, 15, "it is broken")


class Setting:
    """A partition whose offset 10 is next, with a clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.assignment = Assignment(lanes=1)
        self.assignment.hold(ONE, 3, 10)
        self.stops = Stops(self.assignment, lambda: self.now)

    def halt(self) -> None:
        """Have it halted."""
        self.stops.note({ONE: BATCH})
        for partition, problem in self.stops.due():
            self.assignment.halt(partition, problem)


def test_what_is_in_hand_is_applied_first() -> None:
    setting = Setting()
    held = setting.assignment.held[ONE]
    held.next_offset = 12
    found = {ONE: BATCH, TWO: BATCH}
    assert setting.stops.note(found) == [ONE]
    assert (found, list(setting.stops.due())) == ({}, [])
    held.applied_offset = 12
    ((partition, problem),) = setting.stops.due()
    assert partition == ONE
    assert problem.startswith("t:1: the batch of records with the offsets 12 to 14 can't be read (it is broken)")
    assert "`segmentation reset positions t:1 --to 15`" in problem
    assert list(setting.stops.due()) == []


def test_it_stays_halted_until_the_position_is_moved() -> None:
    setting = Setting()
    setting.halt()
    assert setting.stops.problem(ONE, 10) == setting.assignment.halted[ONE]
    assert setting.stops.problem(ONE, 15) is None
    assert setting.stops.problem(ONE, 10) is None


def test_it_is_read_again_now_and_then() -> None:
    """Another replica may be whole."""
    setting = Setting()
    setting.halt()
    setting.now = unreadable.REREAD_SECONDS
    assert setting.stops.problem(ONE, 10) is None


def test_a_partition_that_comes_back_is_read_again() -> None:
    """Whether it was halted before it was taken away, or was to be."""
    setting = Setting()
    setting.halt()
    setting.assignment.give([ONE])
    assert setting.stops.problem(ONE, 10) is None
    setting.assignment.hold(ONE, 4, 10)
    setting.stops.note({ONE: BATCH})
    setting.assignment.take([ONE])
    assert list(setting.stops.due()) == []
    assert setting.stops.problem(ONE, 10) is None
