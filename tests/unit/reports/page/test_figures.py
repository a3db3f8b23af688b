"""Numbers and moments as a reader sees them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from worker.reports.page import figures


@pytest.mark.parametrize(
    ("value", "plain", "signed", "compact"),
    [
        (0, "0", "0", "0"),
        (1, "1", "+1", "1"),
        (-1, "−1", "−1", "−1"),
        (9_999, "9,999", "+9,999", "9,999"),
        (10_000, "10,000", "+10,000", "10k"),
        (-12_345, "−12,345", "−12,345", "−12.3k"),
        (99_949, "99,949", "+99,949", "99.9k"),
        (99_950, "99,950", "+99,950", "100k"),
        (999_499, "999,499", "+999,499", "999k"),
        (999_500, "999,500", "+999,500", "1M"),
        (123_456_789_012, "123,456,789,012", "+123,456,789,012", "123B"),
        (9_223_372_036_854_775_807, "9,223,372,036,854,775,807", "+9,223,372,036,854,775,807", "9.2E"),
    ],
)
def test_numbers(value: int, plain: str, signed: str, compact: str) -> None:
    assert (figures.number(value), figures.signed(value), figures.compact(value)) == (plain, signed, compact)


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0 bytes"), (1, "1 byte"), (96, "96 bytes"), (999, "999 bytes"), (1_000, "1 kB"), (39_873_691, "39.9 MB")],
)
def test_sizes(count: int, shown: str) -> None:
    assert figures.size(count) == shown


def test_counts() -> None:
    assert [figures.plural(count, "row") for count in (0, 1, 2_000)] == ["0 rows", "1 row", "2,000 rows"]


def test_moments_are_utc() -> None:
    moment = datetime(2026, 3, 1, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    assert figures.moment(moment) == "28 February 2026, 23:30 UTC"
    assert figures.utc(moment).tzinfo is UTC


def test_what_can_not_be_shown() -> None:
    assert figures.printable("a\x00b\u202ec é 名 d") == "a�b�c é 名 d"
