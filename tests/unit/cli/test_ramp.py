"""The steps of a ramp, and what stays of it where one is rejected."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from worker.cli import ramp as ramping
from worker.cli.ramp import Ramp, steps
from worker.cli.sender import Prepared
from worker.errors import ConfigurationError, Unavailable
from worker.settings import ENV_PREFIX

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


@pytest.mark.parametrize("begin", ["2026-01-01T09:00:00Z", "2026-01-31T08:59:30Z"])
def test_or_a_little_while_ago_or_with_one_step_due(begin: str) -> None:
    every = "P31D" if begin.startswith("2026-01-01") else "PT10S"
    assert len(steps(Ramp("beta", "1,100", every, begin), NOW)) == 2


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
        (
            Ramp("beta", "1,5,25.5,100", "P7D", "2026-01-15T09:00:00Z"),
            r"is past, and 3 of 4 steps would take effect at once, up to 25.5 %: write .* such as 2026-01-31T10:00:00Z",
        ),
        (Ramp("beta", "1,100", "PT10S", "2025-01-31T10:00:00Z"), "2 of 2 steps would take effect at once, up to 100 %"),
    ],
)
def test_what_is_no_ramp(wanted: Ramp, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        steps(wanted, NOW)


class Worker:
    """Takes a ramp's steps by their number: an outcome each, none at all, or Kafka goes away."""

    def __init__(self, *outcomes: str | None) -> None:
        self._outcomes = outcomes
        self.sent: list[str] = []
        self._said: list[dict[str, Any]] = []

    async def send(self, command: Prepared) -> None:
        outcome = self._outcomes[len(self.sent)]
        if outcome == "away":
            raise Unavailable("Kafka is away")
        self.sent.append(command.id.rpartition("-")[2])
        if outcome:
            data = {"user_id": "of no form", "command_id": command.id}
            self._said.append({"type": f"segmentation.{outcome}.v1", "causationid": command.id, "data": data})

    async def flush(self) -> None:
        """All of it was taken at once."""

    async def poll(self) -> list[dict[str, Any]]:
        await asyncio.sleep(0)
        said, self._said = self._said, []
        return said

    @asynccontextmanager
    async def opened(self, _: object) -> AsyncIterator[Worker]:
        yield self


UPDATED, SCHEDULED, REJECTED = "segment.updated", "command.scheduled", "command.rejected"


@pytest.mark.parametrize(
    ("outcomes", "sent", "said"),
    [
        ((UPDATED, SCHEDULED, SCHEDULED), 3, None),
        ((REJECTED, SCHEDULED, SCHEDULED), 1, "the first step was rejected: nothing is scheduled"),
        ((None, SCHEDULED, SCHEDULED), 1, "-1, was sent, and may still be decided"),
        ((UPDATED, REJECTED, SCHEDULED), 3, "-3\n"),
        ((UPDATED, REJECTED, SCHEDULED), 3, "error: 1 of 3 steps were rejected"),
        ((SCHEDULED, REJECTED, SCHEDULED), 3, "`segmentation unschedule ID` takes a step back"),
        ((SCHEDULED, SCHEDULED, None), 3, "without an outcome, so that they may still be scheduled: ramp-"),
        ((SCHEDULED, "away", SCHEDULED), 1, "error: Kafka is away"),
        ((SCHEDULED, "away", SCHEDULED), 1, "scheduled all the same: ramp-"),
    ],
)
async def test_what_becomes_of_a_ramp(
    outcomes: tuple[str | None, ...],
    sent: int,
    said: str | None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The first step goes alone: if it is rejected, nothing of the ramp may take effect later."""
    worker = Worker(*outcomes)
    monkeypatch.setenv(f"{ENV_PREFIX}ENV_FILE", "")
    monkeypatch.setattr(ramping, "tail", worker.opened)
    monkeypatch.setattr(ramping, "Sender", worker.opened)
    is_good = await ramping.ramp(Ramp("beta", "1,5,100", "P1D", None), "/tests", 0.05)
    assert worker.sent == ["1", "2", "3"][:sent]
    assert is_good is (said is None)
    err = capsys.readouterr().err
    assert said in err if said else err == ""
