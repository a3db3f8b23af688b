"""Durations and instants, at their edges."""

from datetime import UTC, datetime
from typing import Any

import pytest

from schemas.times import expiry, timestamp
from tests.unit.schemas.records import accepted, errors_of, refused


@pytest.mark.parametrize(
    ("ttl", "expires_at"),
    [
        ("P1M", "2025-02-28T10:00:00Z"),
        ("P2M", "2025-03-31T10:00:00Z"),
        ("P1Y1M", "2026-02-28T10:00:00Z"),
        ("P13M", "2026-02-28T10:00:00Z"),
        ("P37M", "2028-02-29T10:00:00Z"),
        ("P1W", "2025-02-07T10:00:00Z"),
        ("P1W2D", "2025-02-09T10:00:00Z"),
        ("P1DT12H", "2025-02-01T22:00:00Z"),
        ("P1M1D", "2025-03-01T10:00:00Z"),
        ("PT30S", "2025-01-31T10:00:30Z"),
        ("PT0.000001S", "2025-01-31T10:00:00.000001Z"),
        ("PT0,5S", "2025-01-31T10:00:00.5Z"),
        ("PT1.1234567S", "2025-01-31T10:00:01.123456Z"),
        ("PT1.9999999S", "2025-01-31T10:00:01.999999Z"),
        ("PT36H", "2025-02-01T22:00:00Z"),
        ("P100Y", "2125-01-31T10:00:00Z"),
        ("P1200M", "2125-01-31T10:00:00Z"),
    ],
)
def test_a_ttl_counts_by_the_calendar(ttl: str, expires_at: str) -> None:
    assert expiry(ttl, timestamp("2025-01-31T10:00:00Z")) == timestamp(expires_at)


@pytest.mark.parametrize(
    "ttl",
    [
        "",
        "P",
        "PT",
        "P1DT",
        "P0D",
        "PT0S",
        "PT0.000000S",
        "PT0.0000009S",
        "-P1D",
        "P-1D",
        "P1",
        "1D",
        "p1d",
        "P1.5M",
        "P1,5D",
        "P1D\n",
        "P1S",
        "PT1D",
        "P1H",
        "P1D2M",
        "P100Y1D",
        "P1201M",
        "P9999999999Y",
        "P9999999999D",
        "P101Y",
        "PT9999999999S",
        "P20250101T000000",
        "P0001-01-01T00:00:00",
        "P" + "1" * 5000 + "D",
        "P١D",
    ],
)
def test_no_ttls(ttl: str) -> None:
    with pytest.raises(ValueError, match=r"^must be "):
        expiry(ttl, datetime(2025, 1, 1, tzinfo=UTC))
    refusal = refused("membership.change", {"user_id": "u", "add": ["a"], "ttl": ttl})
    assert refusal.code == "invalid"
    assert [*errors_of(refusal)] == ["data.ttl"]


@pytest.mark.parametrize(
    ("ttl", "reason"),
    [
        ("PT1.5H", "only its seconds may have a fraction"),
        ("P0,5D", "only its seconds may have a fraction"),
        ("-P1D", "without a sign"),
        ("p1d", "in capitals"),
        ("PT0.0000001S", "longer than nothing, by a microsecond or more"),
    ],
)
def test_the_true_reason_is_told(ttl: str, reason: str) -> None:
    assert reason in errors_of(refused("membership.change", {"user_id": "u", "add": ["a"], "ttl": ttl}))["data.ttl"]


@pytest.mark.parametrize("ttl", ["P100Y", "P1M", "PT1S"])
def test_a_ttl_that_ends_after_the_last_year(ttl: str) -> None:
    with pytest.raises(ValueError, match="year 10000"):
        expiry(ttl, datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2025-01-31T10:00:00Z", datetime(2025, 1, 31, 10, tzinfo=UTC)),
        ("2025-01-31t10:00:00z", datetime(2025, 1, 31, 10, tzinfo=UTC)),
        ("2025-01-31T10:00:00-00:00", datetime(2025, 1, 31, 10, tzinfo=UTC)),
        ("2025-01-31T12:00:00.5+02:00", datetime(2025, 1, 31, 10, 0, 0, 500_000, tzinfo=UTC)),
        ("2025-01-31T10:00:00.123456789Z", datetime(2025, 1, 31, 10, 0, 0, 123_456, tzinfo=UTC)),
        ("2024-02-29T00:00:00Z", datetime(2024, 2, 29, tzinfo=UTC)),
    ],
)
def test_timestamps(text: str, instant: datetime) -> None:
    assert timestamp(text) == instant
    assert accepted("user.register", time=text).time == instant
    assert accepted("user.register", time=text).time.tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2025-01-31",
        "2025-01-31T10:00:00",
        "2025-01-31 10:00:00Z",
        "20250131T100000Z",
        "2025-01-31T10:00Z",
        "2025-02-30T10:00:00Z",
        "2025-01-31T24:00:00Z",
        "2025-01-31T10:00:60Z",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "2025-01-31T10:00:00+25:00",
        "2025-W05-5T10:00:00Z",
        "2025-01-31T10:00:00Z\n",
        "2025-01-31T10:00:00.Z",
        "٢٠٢٥-01-31T10:00:00Z",
        "1738317600",
    ],
)
def test_no_timestamps(text: str) -> None:
    with pytest.raises(ValueError, match=r"^must be a date and time"):
        timestamp(text)
    assert errors_of(refused("user.register", time=text))["time"].startswith("must be a date and time")


@pytest.mark.parametrize("time", [1738317600, 1738317600.5, True, [], {}])
def test_a_time_is_text(time: Any) -> None:
    assert "time" in errors_of(refused("user.register", time=time))
