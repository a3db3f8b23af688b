"""Which partitions are wanted, held and halted, and that a batch of another epoch is told apart."""

from __future__ import annotations

from worker.kafka.clients import TopicPartition
from worker.line.assignment import Assignment
from worker.line.batch import Batch, Span

ONE, TWO = TopicPartition("t", 1), TopicPartition("t", 2)


def batch(*spans: Span) -> Batch:
    return Batch((), spans)


def held(epoch: int = 3, at: int = 10) -> Assignment:
    assignment = Assignment()
    assignment.give([ONE])
    assignment.hold(ONE, epoch, at)
    return assignment


def test_a_partition_is_in_one_state() -> None:
    assignment = Assignment()
    assignment.give([ONE, TWO])
    assert (assignment.wanted, assignment.held, assignment.halted) == ({ONE, TWO}, {}, {})
    assignment.hold(ONE, 1, 5)
    assignment.halt(TWO, "gone")
    assert (assignment.wanted, set(assignment.held), assignment.halted) == (set(), {ONE}, {TWO: "gone"})
    assignment.halt(ONE, "gone too")
    assert (assignment.held, set(assignment.halted)) == ({}, {ONE, TWO})
    assignment.hold(TWO, 2, 5)
    assert (set(assignment.held), set(assignment.halted)) == ({TWO}, {ONE})
    assignment.give([ONE, TWO])
    assert (assignment.wanted, assignment.held, assignment.halted) == ({ONE, TWO}, {}, {})
    assignment.take([ONE, TWO])
    assert (assignment.wanted, assignment.held, assignment.halted) == (set(), {}, {})


def test_taking_forgets_every_state() -> None:
    assignment = held()
    assignment.take([ONE, TWO])
    assert assignment.held == {}
    assignment.halt(ONE, "gone")
    assignment.take([ONE])
    assert assignment.halted == {}


def test_a_batch_of_another_epoch_is_not_current() -> None:
    assignment = held(epoch=3)
    assert assignment.is_current(batch(Span("t", 1, 3, 10, 12)))
    assert not assignment.is_current(batch(Span("t", 1, 2, 10, 12)))
    assert not assignment.is_current(batch(Span("t", 1, 3, 10, 12), Span("t", 2, 3, 0, 1)))


def test_what_was_applied_moves_on_in_its_epoch_only() -> None:
    assignment = held(epoch=3, at=10)
    assignment.settled(batch(Span("t", 1, 2, 10, 99)))
    assert assignment.held[ONE].applied_offset == 10
    assignment.settled(batch(Span("t", 1, 3, 10, 12), Span("t", 2, 3, 0, 1)))
    assert assignment.held[ONE].applied_offset == 12


def test_a_fenced_batch_makes_its_partitions_wanted_again() -> None:
    assignment = held(epoch=3)
    assignment.unsettle(batch(Span("t", 1, 2, 10, 12), Span("t", 2, 2, 0, 1)))
    assert set(assignment.held) == {ONE}
    assert assignment.wanted == set()
    assignment.unsettle(batch(Span("t", 1, 3, 10, 12)))
    assert (assignment.held, assignment.wanted) == ({}, {ONE})
