"""Since when a transaction holds a partition's commands back, and that the log says so once."""

from __future__ import annotations

from unittest.mock import Mock

import pytest

from worker.kafka.clients import TopicPartition
from worker.line import open_transactions
from worker.line.open_transactions import OpenTransactions
from worker.observability import metrics

PLACE = TopicPartition("t", 0)
HELD = {PLACE: None}


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Mock:
    said = Mock()
    monkeypatch.setattr(open_transactions, "log", said)
    return said


def test_it_counts_from_when_the_offset_stands_still(log: Mock) -> None:
    clock = Mock(return_value=100.0)
    found = OpenTransactions(clock)
    seconds = []
    for now, stable, mark in [(100, 5, 5), (105, 5, 9), (110, 5, 12), (115, 8, 12), (117, 8, 12), (120, 14, 14)]:
        clock.return_value = now
        found.look({PLACE: stable}, {PLACE: mark}, HELD)
        seconds.append(found.seconds(PLACE))
        assert _gauge() == {("t", "0"): seconds[-1]}
    assert seconds == [0, 0, 5, 0, 2, 0]
    assert log.mock_calls == []


def test_the_log_says_it_once_and_when_it_is_over(log: Mock) -> None:
    clock = Mock(return_value=0.0)
    found = OpenTransactions(clock)
    for now in (0, 9, 10, 15, 60):
        clock.return_value = now
        found.look({PLACE: 5}, {PLACE: 9}, HELD)
    log.warning.assert_called_once()
    assert log.warning.call_args.kwargs == {"topic": "t", "partition": 0, "offset": 5, "seconds": 10}
    assert log.info.mock_calls == []
    for _ in range(2):
        found.look({PLACE: 10}, {PLACE: 10}, HELD)
    log.info.assert_called_once_with("the transaction has ended", topic="t", partition=0, offset=5)


def test_what_is_not_known_is_absent_and_what_is_not_held_forgotten(log: Mock) -> None:
    clock = Mock(return_value=0.0)
    found = OpenTransactions(clock)
    found.look({PLACE: 5}, {PLACE: 9}, HELD)
    clock.return_value = 7.0
    found.look({PLACE: 5}, {}, HELD)
    assert (_gauge(), found.seconds(PLACE)) == ({}, 7)
    found.look({}, {}, {})
    assert (_gauge(), found.seconds(PLACE)) == ({}, 0)


def _gauge() -> dict[tuple[str, ...], float]:
    samples = next(iter(metrics.OPEN_TRANSACTION_SECONDS.collect())).samples
    return {(sample.labels["topic"], sample.labels["partition"]): sample.value for sample in samples}
