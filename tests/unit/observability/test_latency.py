"""The time from a command to its event: of what this process has applied and published itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from worker.observability import metrics
from worker.observability.latency import Latency

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def observed(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    values: list[float] = []
    monkeypatch.setattr(metrics.COMMAND_TO_EVENT_SECONDS, "observe", values.append)
    return values


def _at(seconds: float) -> datetime:
    return BEGIN + timedelta(seconds=seconds)


def test_each_batch_is_measured_once_when_its_last_event_is_out(observed: list[float]) -> None:
    latency = Latency(lambda: _at(10))
    latency.journaled(7, [_at(8), _at(9)])
    latency.journaled(5, [_at(1)])
    latency.published(4)
    assert observed == []
    latency.published(6)
    latency.published(9)
    latency.published(9)
    assert observed == [9, 2, 1]


def test_what_another_relay_has_published_is_not_measured(observed: list[float]) -> None:
    latency = Latency(lambda: _at(10))
    latency.journaled(5, [_at(1)])
    latency.journaled(7, [_at(4)])
    latency.published_before(5)
    latency.published(7)
    assert observed == [6]


def test_a_senders_clock_that_is_ahead_counts_as_no_time(observed: list[float]) -> None:
    latency = Latency(lambda: BEGIN)
    latency.journaled(1, [_at(5)])
    latency.published(1)
    assert observed == [0]
