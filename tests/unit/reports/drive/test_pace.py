"""How long a pause is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from worker.reports.drive.client import wait_seconds
from worker.reports.drive.requests import Pace

PACE = Pace(pause_seconds_min=1.0, pause_seconds_max=32.0, retry_after_seconds_max=120.0)


@pytest.mark.parametrize(("failures", "longest"), [(1, 1), (2, 2), (3, 4), (6, 32), (7, 32), (50, 32)])
def test_it_grows_up_to_a_limit_and_differs(failures: int, longest: float) -> None:
    pauses = {PACE.pause_seconds(failures, None) for _ in range(50)}
    assert longest / 2 <= min(pauses) < max(pauses) <= longest


def test_it_is_as_long_as_drive_asks_for_within_limits() -> None:
    assert PACE.pause_seconds(1, 20) == 20
    assert PACE.pause_seconds(1, 3_600) == 120
    assert PACE.pause_seconds(9, 0) >= 16


def test_drive_asks_in_seconds_or_with_a_time() -> None:
    soon = datetime.now(UTC) + timedelta(seconds=60)
    past = soon - timedelta(days=1)
    assert wait_seconds("17") == 17
    assert 55 < (wait_seconds(format_datetime(soon, usegmt=True)) or 0) <= 60
    assert wait_seconds(format_datetime(past, usegmt=True)) == 0
    assert wait_seconds(None) is wait_seconds("") is wait_seconds("soon") is None
