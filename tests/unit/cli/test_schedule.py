"""The steps of a ramp, and what is yet to come in words."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from worker.cli import coming
from worker.cli.schedule import Ramp, steps
from worker.errors import ConfigurationError

NOW = datetime(2026, 1, 31, 9, tzinfo=UTC)


def test_a_ramp_goes_by_the_calendar() -> None:
    made = steps(Ramp("beta", "1, 5,25.5,100", "P1M", "2026-01-31T10:00:00+01:00"), NOW)
    assert [str(step["data"]["percent"]) for step in made] == ["1", "5", "25.5", "100"]
    assert [step["effectiveat"] for step in made] == [
        f"2026-{day}T09:00:00Z" for day in ("01-31", "02-28", "03-31", "04-30")
    ]


def test_a_ramp_begins_now_if_nothing_is_said() -> None:
    made = steps(Ramp("beta", "1,100", "PT12H", None), NOW)
    assert [step["effectiveat"] for step in made] == ["2026-01-31T09:00:00Z", "2026-01-31T21:00:00Z"]


def test_or_at_some_distance() -> None:
    assert steps(Ramp("beta", "1", "PT12H", "P1DT1H"), NOW)[0]["effectiveat"] == "2026-02-01T10:00:00Z"


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (Ramp("beta", "1,5,", "P1D", None), 'PERCENTS must be numbers from 0 to 100 .* "" is none'),
        (Ramp("beta", "1,101", "P1D", None), '"101" is none'),
        (Ramp("beta", "1,5", "1 day", None), '--every must be an ISO 8601 duration .* is "1 day"'),
        (Ramp("beta", "1,5", "P1D", "2026-02-01T09:00:00"), "--from must be RFC 3339 with a zone"),
        (Ramp("beta", "1,5", "P1D", "monday"), "--from must be RFC 3339 with a zone"),
        (Ramp("beta", "1,5", "P1D", "P1.5D"), '--from must be RFC 3339 with a zone, .* it is "P1.5D"'),
        (Ramp("beta", ",".join(["1"] * 1_001), "P1D", None), "at most 1,000 steps, this one has 1,001"),
        (Ramp("beta", ",".join(["1"] * 200), "P100Y", None), "beyond the year 9999"),
    ],
)
def test_what_is_no_ramp(wanted: Ramp, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        steps(wanted, NOW)


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        (
            "segment.create",
            {"segment": "s", "percent": 12.5, "tags": ["a", "b"]},
            "create the segment: 12.5 %, tags a, b",
        ),
        ("segment.update", {"segment": "s", "owner": "web\n"}, "change the segment: owner web�"),
        ("segment.delete", {"segment": "s"}, "delete the segment"),
        ("user.forget", {"user_id": "u"}, "forget the user"),
        ("import.commit", {"import": "i"}, "apply the list to beta"),
        (
            "membership.change",
            {"user_id": "u", "add": ["a", {"segment": "b", "expires_at": "2027-01-01T00:00:00Z"}], "remove": ["c"]},
            "+a +b until 2027-01-01T00:00:00Z -c",
        ),
        ("membership.change", {"user_id": "u", "add": list("abcdefg"), "remove": []}, "+a +b +c +d +e and 2 more"),
        ("segment.paint", {}, "segment.paint"),
    ],
)
def test_what_is_to_come(name: str, data: dict[str, Any], said: str) -> None:
    row: Any = {"command_type": name, "data": json.dumps(data), "import_segment": "beta"}
    assert coming.what(row) == said
