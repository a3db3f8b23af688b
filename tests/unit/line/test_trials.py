"""How often a batch is tried before its commands are suspected."""

from __future__ import annotations

import pytest

from worker.errors import (
    ClockStepped,
    Denied,
    Hindered,
    Outdated,
    Refused,
    Slow,
    Strained,
    Unavailable,
    Unclear,
    WorkerError,
)
from worker.line.trials import TRIES_MAX, Trials, failures


@pytest.mark.parametrize("kind", [Refused, Slow, Unclear, Denied, Unavailable, Strained, Hindered])
@pytest.mark.parametrize("is_alone", [True, False])
def test_tries_are_bounded(kind: type[WorkerError], is_alone: bool) -> None:
    trials, most = Trials(is_alone=is_alone), 0
    while not trials.suffice(kind("no")):
        trials.count(kind("no"), 0.01)
        most += 1
    limits = TRIES_MAX.get(kind, TRIES_MAX[Unavailable])
    assert most == (limits.alone if is_alone else limits.together)


def test_waiting_for_locks_never_suffices() -> None:
    trials = Trials(is_alone=True)
    for _ in range(1_000):
        trials.count(Strained("deadlock detected"), 1.1)
    assert not trials.suffice(Strained("deadlock detected"))
    assert trials.made == 1_000


@pytest.mark.parametrize("kind", [ClockStepped, Outdated])
def test_clocks_are_never_the_datas(kind: type[WorkerError]) -> None:
    trials = Trials(is_alone=True)
    for _ in range(1_000):
        trials.count(kind("later"), 0)
    assert not trials.suffice(kind("later"))


def test_one_comparison_convicts_nobody() -> None:
    """The database may have become well between the try and the comparison."""
    trials = Trials(is_alone=True)
    trials.compare(is_well=True)
    assert not trials.convict()
    trials.compare(is_well=False)
    trials.compare(is_well=True)
    assert not trials.convict()
    trials.compare(is_well=True)
    assert trials.convict()


def test_pauses_grow_up_to_a_limit() -> None:
    trials, pauses = Trials(is_alone=True), []
    for _ in range(2_000):
        trials.count(Unavailable("away"), 0)
        pauses.append(trials.pause_seconds())
    assert pauses[0] < 0.1 < pauses[4] < pauses[7] < max(pauses) < 6


def test_a_rejection_does_not_tell_where_the_database_is() -> None:
    fault = Unclear("PostgreSQL at db.example:5432/x: no")
    fault.__cause__ = ValueError("no")
    assert [failure.message for failure in failures(fault)] == ["The database refused this command: no"] * 2
    for kind in (Slow, Unavailable):
        assert "db.example" not in failures(kind("PostgreSQL at db.example:5432/x: no"))[0].message
