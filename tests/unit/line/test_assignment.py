"""Which partitions are wanted, held and halted, and that a batch of another epoch is told apart."""

from __future__ import annotations

from collections import Counter

import pytest

from worker.kafka.clients import TopicPartition
from worker.line.assignment import Assignment
from worker.line.batch import Batch, Span
from worker.observability import metrics

ONE, TWO = TopicPartition("t", 1), TopicPartition("t", 2)


def batch(*spans: Span) -> Batch:
    return Batch((), spans)


def held(epoch: int = 3, at: int = 10) -> Assignment:
    assignment = Assignment(lanes=2)
    assignment.give([ONE])
    assignment.hold(ONE, epoch, at)
    return assignment


def test_a_partition_is_in_one_state() -> None:
    assignment = Assignment(lanes=2)
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


@pytest.mark.parametrize("given", [range(12), range(0, 12, 2), range(1, 12, 2), range(0, 12, 3), range(1)])
@pytest.mark.parametrize("lanes", [1, 2, 3, 4])
def test_lanes_have_equal_shares_of_each_topic_whatever_the_assignor_gives(given: range, lanes: int) -> None:
    assignment = Assignment(lanes)
    for topic in ("members", "reports", "segments"):
        for number in given:
            assignment.hold(TopicPartition(topic, number), 1, 0)
    for topic in ("members", "reports", "segments"):
        shares = Counter(held.lane for place, held in assignment.held.items() if place.topic == topic)
        assert max(shares.values()) - min(shares[lane] for lane in range(lanes)) <= 1


def test_a_halted_partition_is_counted_until_it_is_let_go() -> None:
    gauge = metrics.HALTED.labels(*ONE)
    assignment = held()
    for let_go in (assignment.give, assignment.take, lambda places: assignment.hold(places[0], 4, 12)):
        assignment.halt(ONE, "gone")
        assert gauge._value.get() == 1
        let_go([ONE])
        assert gauge._value.get() == 0
