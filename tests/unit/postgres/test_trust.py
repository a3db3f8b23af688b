"""The server's clock has three witnesses: this process's clock, the journal, and what passed since it was believed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from worker.errors import ClockStepped
from worker.postgres.trust import Trust

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=3)
HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)


class Here:
    """This process: what its clock says, and how many seconds went by."""

    def __init__(self) -> None:
        self.time, self.ticks = NOW, 0.0
        self.trust = Trust(60, local=lambda: self.time, monotonic=lambda: self.ticks)

    def passes(self, seconds: float) -> None:
        """Time goes by."""
        self.time += timedelta(seconds=seconds)
        self.ticks += seconds


def test_a_quiet_journal_and_a_clock_that_agrees() -> None:
    Here().trust.check(NOW + 59 * SECOND, LONG_AGO)


def test_ahead_of_everything() -> None:
    with pytest.raises(
        ClockStepped,
        match=r"2026-03-01 13:00:00 UTC: 3,600 s ahead of this worker's, and for the journal that is 3 days after",
    ):
        Here().trust.check(NOW + HOUR, LONG_AGO)


def test_a_worker_that_is_behind_has_no_veto_while_the_journal_is_written() -> None:
    Here().trust.check(NOW + HOUR, NOW + HOUR - 30 * SECOND)


def test_a_worker_that_is_behind_goes_on_after_a_quiet_night() -> None:
    """It saw the server's clock go on evenly."""
    here = Here()
    here.trust.check(NOW + HOUR, NOW + HOUR)
    here.passes(40_000)
    here.trust.check(NOW + HOUR + timedelta(seconds=40_000), NOW + HOUR)


def test_a_step_while_it_was_watched() -> None:
    here = Here()
    here.trust.check(NOW, NOW)
    here.passes(10)
    with pytest.raises(ClockStepped, match="730 days ahead"):
        here.trust.check(NOW + timedelta(days=730, seconds=10), NOW)


def test_a_step_is_not_believed_the_second_time_either() -> None:
    here = Here()
    here.trust.check(NOW, NOW)
    for _ in range(3):
        here.passes(1)
        with pytest.raises(ClockStepped):
            here.trust.check(here.time + HOUR, NOW)
    here.trust.check(here.time, NOW)


def test_a_clock_that_was_behind_is_set_right() -> None:
    """Both clocks agree about it, so it is no mistake, though the server's has stepped."""
    here = Here()
    here.trust.check(NOW - HOUR, NOW - HOUR)
    here.trust.check(NOW, NOW - HOUR)


def test_a_step_back_is_none_of_its_business() -> None:
    """The journal's time does not go back by itself."""
    here = Here()
    here.trust.check(NOW, NOW)
    here.trust.check(NOW - HOUR, NOW)
