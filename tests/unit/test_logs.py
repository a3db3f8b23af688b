"""Structured logs."""

from __future__ import annotations

import logging

from worker.logs import REPEAT_SECONDS_MIN, Seldom


def record(name: str, line: int) -> logging.LogRecord:
    return logging.LogRecord(name, logging.ERROR, "client.py", line, "Unable connect to %s", ("a",), None)


def test_a_library_repeats_itself_seldom() -> None:
    now = 0.0
    seldom = Seldom(clock=lambda: now)
    assert seldom.filter(record("aiokafka.client", 1))
    assert not seldom.filter(record("aiokafka.client", 1))
    assert seldom.filter(record("aiokafka.client", 2))
    now += REPEAT_SECONDS_MIN
    assert seldom.filter(record("aiokafka.client", 1))


def test_our_own_records_all_pass() -> None:
    seldom = Seldom(clock=lambda: 0.0)
    assert all(seldom.filter(record("worker.relay", 1)) for _ in range(3))
