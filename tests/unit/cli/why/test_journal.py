"""The months of a question."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from worker.cli.why.journal import Months, begin


def test_no_month_is_no_bound() -> None:
    assert (Months().begins, Months().ends) == (None, None)


@pytest.mark.parametrize(("until", "ends"), [("2026-01", (2026, 2)), ("2026-12", (2027, 1))])
def test_both_ends_are_included(until: str, ends: tuple[int, int]) -> None:
    months = Months("2025-11", until)
    assert (months.begins, months.ends) == (datetime(2025, 11, 1, tzinfo=UTC), datetime(*ends, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    "text", ["", "2026", "2026-1", "2026-00", "2026-13", "2026-05-01", "0000-01", "9999-12", "２０２６-05"]
)
def test_what_is_no_month(text: str) -> None:
    with pytest.raises(ValueError, match="YYYY-MM"):
        begin(text)
