"""Whether the relay gets on, as a worker sees it that need not be the relay."""

from __future__ import annotations

from worker.journal.backlog import STALLED_SECONDS_MAX, Backlog


def test_it_stands_while_rows_wait_and_none_is_published() -> None:
    now = 0.0
    backlog = Backlog(lambda: now)
    backlog.look(0, 7)
    now = 100.0
    assert (backlog.stalled_seconds(), backlog.problems(None)) == (0.0, [])
    backlog.look(3, 7)
    now += STALLED_SECONDS_MAX
    assert backlog.stalled_seconds() == STALLED_SECONDS_MAX
    (problem,) = backlog.problems("Kafka is away")
    assert "after the journal's row 7" in problem
    assert "Kafka is away" in problem
    backlog.look(3, 8)
    assert (backlog.stalled_seconds(), backlog.problems(None)) == (0.0, [])


def test_a_long_backlog_that_gets_shorter_is_no_problem() -> None:
    now = 0.0
    backlog = Backlog(lambda: now)
    for published in range(10):
        now += STALLED_SECONDS_MAX - 1
        backlog.look(1_000, published)
        assert backlog.problems(None) == []
