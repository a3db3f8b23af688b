"""The gauges while a service is away: what is not known is absent, or goes on growing; nothing stands still."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from unittest.mock import Mock

import pytest

from worker.errors import Unavailable
from worker.journal.backlog import Backlog
from worker.kafka.clients import TopicPartition
from worker.line import mirror
from worker.line.assignment import Assignment
from worker.line.mirror import Mirror
from worker.line.open_transactions import OpenTransactions
from worker.observability import metrics
from worker.postgres.session import Session
from worker.settings import Settings

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
PLACE = TopicPartition("t", 0)


class Database:
    """Answers once, and then not any more."""

    def __init__(self, *rows: dict[str, Any], oldest: datetime | None = None) -> None:
        self._rows, self._oldest = list(rows), oldest

    async def fetch(self, _: str, __: int) -> list[dict[str, Any]]:
        return [] if self._oldest is None else [{"time": self._oldest}]

    async def row(self, name: str, *arguments: Any) -> dict[str, Any]:
        if name == "clock":
            return {"now": arguments[0]}
        if not self._rows:
            raise Unavailable("stopped")
        return self._rows.pop(0)


def _mirror(database: Database, clock: Mock, assignment: Assignment | None = None) -> Mirror:
    return Mirror(
        Settings(_env_prefix="NOTHING_"),
        Mock(),
        assignment or Assignment(1),
        cast(Session, database),
        clock=clock,
        watch=Mock(),
        standstill=Mock(),
        lanes_are_well=lambda: True,
        backlog=Backlog(),
    )


async def test_a_backlog_grows_older_while_the_database_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = Mock(return_value=100.0)
    monkeypatch.setattr("worker.line.mirror.time.monotonic", ticks)
    clock = Mock(return_value=BEGIN + timedelta(seconds=2))
    measured = _mirror(Database({"unpublished": 3, "published_sequence": 1}, oldest=BEGIN), clock)
    assert await measured._measure_backlog()
    assert measured._unpublished_seconds() == 2
    ticks.return_value += 600
    assert not await measured._measure_backlog()
    assert measured._unpublished_seconds() == 602
    assert math.isnan(metrics.UNPUBLISHED_ROWS._value.get())


async def test_nothing_waits_where_nothing_waited() -> None:
    measured = _mirror(Database({"unpublished": 0, "published_sequence": 1}), Mock(return_value=BEGIN))
    await measured._measure_backlog()
    await measured._measure_backlog()
    assert measured._unpublished_seconds() == 0


async def test_the_lag_is_absent_while_kafka_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    assignment = Assignment(1)
    assignment.hold(PLACE, 1, 5)
    measured = _mirror(Database(), Mock(return_value=BEGIN), assignment)

    async def known(*_: object) -> dict[TopicPartition, int]:
        return {PLACE: 9}

    async def unknown(*_: object) -> dict[TopicPartition, int]:
        raise Unavailable("stopped")

    monkeypatch.setattr(mirror, "offsets", known)
    await measured._measure_lag()
    assert _lags() == {("t", "0"): 4}
    monkeypatch.setattr(mirror, "offsets", unknown)
    assert await measured._measure_lag() is None
    assert _lags() == {}


async def test_the_lag_goes_to_the_high_watermark(monkeypatch: pytest.MonkeyPatch) -> None:
    """An open transaction holds records back; others may not call it a standstill."""
    ticks = Mock(return_value=100.0)
    assignment = Assignment(1)
    assignment.hold(PLACE, 1, 5)
    assignment.held[PLACE].newest_ms = 1  # long ago: nothing was sent since
    measured = _mirror(Database(), Mock(return_value=BEGIN), assignment)
    measured._open = OpenTransactions(ticks)

    async def asked(ask: Any, *_: object) -> dict[TopicPartition, int]:
        return {PLACE: 5 if ask is measured._consumer.end_offsets else 9}

    monkeypatch.setattr(mirror, "offsets", asked)
    assert await measured._measure_lag() == {PLACE: 5}
    ticks.return_value += 7
    assert await measured._measure_lag() == {PLACE: 5}
    assert _lags() == {("t", "0"): 4}
    assert metrics.LAG_SECONDS.labels("t", 0)._value.get() == 7


def _lags() -> dict[tuple[str, ...], float]:
    samples = next(iter(metrics.LAG_RECORDS.collect())).samples
    return {(sample.labels["topic"], sample.labels["partition"]): sample.value for sample in samples}
