"""What the command line takes, refuses and says, without any service."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
import typer
from typer.testing import CliRunner, Result

from worker.cli.commands import app

COMMANDS = ["run", "migrate", "topics", "send", "watch", "services", "demo", "settings", "jobs", "preview", "snapshot"]
COMMANDS += [
    "query",
    "why",
    "history",
    "report",
    "reports",
    "doctor",
    "segments",
    "segment",
    "members",
    "import",
    "imports",
    "schedule",
    "unschedule",
    "ramp",
]
RESETS = ["positions", "relay", "deployment"]


@pytest.fixture(autouse=True)
def without_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SEGMENTATION_KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    monkeypatch.setenv("SEGMENTATION_DATABASE_URL", "postgresql://127.0.0.1:1/nowhere")
    yield


def invoke(*arguments: str, stdin: str = "") -> Result:
    return CliRunner(env={"COLUMNS": "200", "TERM": "dumb"}).invoke(app, list(arguments), input=stdin)


@pytest.mark.parametrize("words", [[name] for name in COMMANDS] + [["reset", name] for name in RESETS])
def test_every_command_has_help_with_an_example(words: list[str]) -> None:
    result = invoke(*words, "--help")
    assert result.exit_code == 0
    assert "Usage:" in result.output
    assert f"segmentation {' '.join(words)}" in result.output.partition("Example:")[2]


def test_the_table_of_commands_is_complete() -> None:
    groups = typer.main.get_group(app).commands
    assert sorted(groups) == sorted([*COMMANDS, "reset"])


def test_help_is_quick_as_it_imports_little() -> None:
    script = "import sys; from worker.cli import commands; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not {"aiokafka", "asyncpg", "alembic", "pydantic", "aiohttp", "googleapiclient", "matplotlib"} & set(
        done.stdout.split()
    )


def test_version() -> None:
    assert invoke("--version").output.startswith("segmentation")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nothing"], "No such command"),
        (["send"], "Missing argument"),
        (["send", "-", "{}"], "the lines of standard input"),
        (["send", "-", "--id", "1"], "the lines of standard input"),
        (["send", "user.register", "--timeout", "0"], "0.1"),
        (["watch", "--type", "membership.change"], "must be one of segment.created"),
        (["watch", "--count", "0"], "1"),
        (["query"], "Missing argument"),
        (["why", "ada"], "Missing argument"),
        (["why", "a b", "beta"], "without white space"),
        (["why", "ada", "?"], "must be a segment's name"),
        (["why", "ada", "beta", "--limit", "0"], "1"),
        (["why", "ada", "beta", "--since", "May"], "must be a month as YYYY-MM"),
        (["history"], "Missing argument"),
        (["history", ""], "must be text of 1–128"),
        (["history", "ada", "--before", "0"], "1"),
        (["history", "ada", "--since", "2026-13"], "must be a month as YYYY-MM"),
        (["history", "ada", "--until", "2026-1"], "must be a month as YYYY-MM"),
        *((["preview", percent], "must be a number") for percent in ("NaN", "inf", "100.01", "1e999", "ten", "12.345")),
        (["reset", "relay", "--to", "nobody"], "must be kafka, database or a sequence"),
        (["reset", "positions", "topic", "--to", "12"], "whole topic"),
        (["reset", "positions", "topic:one", "--to", "latest"], "TOPIC:PARTITION"),
        (["reset", "positions", ":1", "--to", "latest"], "TOPIC:PARTITION"),
        (["reset", "positions", "topic:1", "--to", "-5"], "must be earliest, latest or an offset"),
        (["reset", "positions", "topic:1", "--to", "soon"], "must be earliest, latest or an offset"),
    ],
)
def test_wrong_usage_is_2(words: list[str], said: str) -> None:
    result = invoke(*words)
    assert result.exit_code == 2
    assert said in result.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["send", "user.registre", "{}"], 'error: "user.registre" is no command; there are segment.create,'),
        (["send", "user.register", "{user_id: 1}"], "error: the data is not JSON"),
        (["send", "user.register"], "error: user.register: data.user_id is missing"),
        (["send", "membership.change", '{"user_id": "u", "add": ["a"], "month": 2}'], "data.month is not a known"),
        (["query", "no body"], "data.user_id must be text"),
        (["reset", "positions", "other:1", "--to", "latest", "--yes"], "error: other is no topic of this deployment"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_reached(words: list[str], said: str) -> None:
    result = invoke(*words)
    assert result.exit_code == 1
    assert said in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    "words",
    [
        ["migrate"],
        ["topics"],
        ["watch"],
        ["query", "ada"],
        ["why", "ada", "beta"],
        ["history", "ada"],
        ["send", "user.register", '{"user_id": 1}'],
    ],
)
def test_services_that_are_away_are_named_without_a_trace(words: list[str]) -> None:
    result = invoke(*words)
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert ("the worker ends" if words == ["run"] else "error: ") in result.stderr
    assert "127.0.0.1:1" in result.stderr, "with its address"
    assert "Traceback" not in result.output


def test_each_wrong_setting_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGMENTATION_BATCH_WAIT_MS_MAX", "soon")
    monkeypatch.setenv("SEGMENTATION_USERS", "some")
    for words in (["send", "-"], ["settings"], ["topics"]):
        result = invoke(*words)
        assert result.exit_code == 1
        names = [line.split()[1] for line in result.stderr.splitlines() if line.startswith("error: ")]
        assert names == ["SEGMENTATION_USERS:", "SEGMENTATION_BATCH_WAIT_MS_MAX:"]


def test_a_reset_asks_first() -> None:
    result = invoke("reset", "relay", "--to", "kafka", stdin="n\n")
    assert result.exit_code == 1
    assert "Events may be skipped, or published again" in result.stderr
    assert "Aborted" in result.stderr


def test_the_worker_does_not_run_without_asserts() -> None:
    done = subprocess.run([sys.executable, "-O", "-m", "worker", "run"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Don't run Python with -O" in done.stderr
