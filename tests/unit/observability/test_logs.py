"""Logs: lines for machines or for people, at the level that was asked for, and no secrets."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from worker.observability import logs
from worker.observability.libraries import note_strays
from worker.settings import Settings


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Logging is the process's: as it was, afterwards."""
    root = logging.getLogger()
    handlers, levels = list(root.handlers), {name: logging.getLogger(name).level for name in ("", "worker", "aiokafka")}
    configuration = structlog.get_config()
    yield
    root.handlers[:] = handlers
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    structlog.configure(**configuration)


def said(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.splitlines()]


def test_json_lines(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Settings(log_format="json"))
    logs.logger("worker.test").warning("halted", partition=3)
    (line,) = said(capsys)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "halted", "level": "warning", "partition": 3}


def test_machines_get_json_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Settings(log_format="auto"))
    logs.logger("worker.test").info("started")
    assert [line["event"] for line in said(capsys)] == ["started"]


def test_people_get_readable_lines(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Settings(log_format="console"))
    logs.logger("worker.test").info("started", group="g")
    text = capsys.readouterr().err
    assert "started" in text
    assert not text.startswith("{")


def test_levels(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Settings(log_format="json", log_level="warning"))
    logger = logs.logger("worker.test")
    logger.info("too quiet")
    logger.warning("loud enough")
    assert [line["event"] for line in said(capsys)] == ["loud enough"]


def test_a_trace_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Settings(log_format="json"))
    try:
        int("why")
    except ValueError:
        logs.logger("worker.test").exception("failed")
    (line,) = said(capsys)
    assert "ValueError: invalid literal" in line["exception"]


def test_the_libraries_speak_in_the_same_form(capsys: pytest.CaptureFixture[str]) -> None:
    """aiokafka only of errors: it warns at each of its many retries."""
    logs.configure(Settings(log_format="json", log_level="debug"))
    logging.getLogger("asyncio").warning("slow %s", "callback")
    logging.getLogger("asyncio").info("not of interest")
    logging.getLogger("aiokafka.conn").warning("once more")
    logging.getLogger("aiokafka.conn").error("broken")
    lines = said(capsys)
    assert [(line["event"], line["logger"]) for line in lines] == [
        ("slow callback", "asyncio"),
        ("Kafka's client: broken", "aiokafka.conn"),
    ]


def test_kafkas_client_in_our_words(capsys: pytest.CaptureFixture[str]) -> None:
    """What asks for nothing is no error, and no warning."""
    logs.configure(Settings(log_format="json"))
    logger = logging.getLogger("aiokafka.client")
    for _ in range(3):  # of the same place, once in a while
        logger.error("Unable connect to node with id %s: %s", 1, "refused")
    (line,) = said(capsys)
    assert line["event"].startswith("Kafka: a broker can't be reached, trying again")
    assert line["level"] == "info"
    logs.configure(Settings(log_format="json", log_level="warning"))
    logger.error("Unable connect to node with id %s: %s", 1, "refused")
    assert said(capsys) == []


def test_cancelled_ticks_say_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Settings(log_format="json"))
    for error in (asyncio.CancelledError(), ValueError("bug")):
        logging.getLogger("apscheduler.executors.default").error("Job raised", exc_info=error)
    (line,) = said(capsys)
    assert "ValueError: bug" in line["exception"]


async def test_what_nobody_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    """One line, and only of bugs."""
    logs.configure(Settings(log_format="json"))
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    note_strays(loop, logs.logger("worker.test"))
    try:
        for error in (ConnectionResetError("gone"), asyncio.CancelledError(), ZeroDivisionError("bug")):
            loop.call_exception_handler({"message": "Task exception was never retrieved", "exception": error})
        loop.call_exception_handler({"message": "Unclosed AIOKafkaConnection"})
    finally:
        loop.set_exception_handler(before)
    (line,) = said(capsys)
    assert line["event"] == "an error that nobody waited for"
    assert "ZeroDivisionError: bug" in line["exception"]


def test_settings_show_no_secrets() -> None:
    """However they come into a line."""
    settings = Settings(database_url="postgresql://u:hunter2@h/d", kafka_sasl_password="hunter2")
    for text in (repr(settings), str(settings), settings.model_dump_json(), str(settings.model_dump())):
        assert "hunter2" not in text
