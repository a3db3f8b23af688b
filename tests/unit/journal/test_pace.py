"""How large the relay's transactions are: from small to the limits, and back where they do not get through."""

from __future__ import annotations

from worker.journal.pace import HALVINGS_AT_FIRST, Pace

SECONDS_MAX = 20.0


def test_it_begins_small_and_grows_to_the_limits() -> None:
    pace = Pace(5_000, 8_000_000, SECONDS_MAX)
    assert (pace.rows, pace.bytes) == (312, 500_000)
    for _ in range(HALVINGS_AT_FIRST + 3):
        pace.committed(0.1)
    assert (pace.rows, pace.bytes) == (5_000, 8_000_000)


def test_what_fails_is_halved_down_to_one_row() -> None:
    pace = Pace(5_000, 8_000_000, SECONDS_MAX)
    sizes = []
    for _ in range(20):
        pace.failed()
        sizes.append(pace.rows)
    assert sizes[:3] == [156, 78, 39]
    assert sizes[-1] == 1
    assert pace.bytes < 1_024
    for _ in range(20):
        pace.committed(0.1)
    assert pace.rows == 5_000


def test_a_slow_one_is_halved_before_it_fails() -> None:
    pace = Pace(64, 64_000, SECONDS_MAX)
    before = pace.rows
    pace.committed(SECONDS_MAX * 0.3)
    assert pace.rows == before
    pace.committed(SECONDS_MAX * 0.6)
    assert pace.rows == before // 2


def test_one_row_is_the_least() -> None:
    pace = Pace(1, 65_536, SECONDS_MAX)
    assert (pace.rows, pace.bytes) == (1, 32_768)
