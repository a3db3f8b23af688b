"""The helper of those who send commands."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, get_args

import pytest

from schemas.commands import COMMANDS, CommandType
from schemas.decode import Command
from schemas.producer import InvalidCommandError, Place, new_command
from tests.unit.schemas.records import GOOD, judge

NAMES: tuple[CommandType, ...] = get_args(CommandType)


@pytest.mark.parametrize("name", NAMES)
def test_what_it_makes_is_accepted(name: CommandType) -> None:
    time = datetime(2025, 1, 31, 12, tzinfo=timezone(timedelta(hours=2)))
    place = Place(COMMANDS[name].topic, b"any") if name == "schedule.cancel" else None
    key, value, headers = new_command(
        name, GOOD[name], source="/cli", id="c1", time=time, correlationid="k", replyto="r", place=place
    )
    command = judge(value, COMMANDS[name].topic, key, headers)
    assert isinstance(command, Command)
    assert (command.type, command.id, command.source) == (name, "c1", "/cli")
    assert (command.time, command.correlationid, command.replyto) == (time, "k", "r")


def test_each_command_has_its_own_id() -> None:
    first, second = (new_command("user.register", {"user_id": 1}, source="/cli") for _ in range(2))
    assert first.key == second.key == b"1"
    assert first.value != second.value


def test_a_report_is_keyed_by_its_month() -> None:
    assert new_command("report.request", {"year": 2025, "month": 1}, source="/cli").key == b"2025-01"


def test_values_of_python() -> None:
    made = new_command("segment.create", {"segment": "s", "percent": Decimal("12.50")}, source="/cli")
    assert b'"percent":12.5' in made.value
    assert new_command("user.register", {"user_id": 10**40}, source="/cli").key == str(10**40).encode()


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"user_id": ""},
        {"user_id": "\ud800"},
        {"user_id": None},
        {"user_id": float("nan")},
        [],
        None,
        {"user_id": []},
    ],
)
def test_what_the_worker_would_refuse(data: Any) -> None:
    with pytest.raises(InvalidCommandError) as caught:
        new_command("user.register", data, source="/cli")
    assert str(caught.value) == caught.value.refusal.message


@pytest.mark.parametrize("data", [{"year": "x", "month": {}}, {"year": 2025}, {"month": None, "year": []}])
def test_a_month_that_is_none(data: Any) -> None:
    with pytest.raises(InvalidCommandError, match=r"data\."):
        new_command("report.request", data, source="/cli")


def test_an_expiry_in_the_past() -> None:
    data = {"user_id": "u", "add": ["a"], "expires_at": "2001-01-01T00:00:00Z"}
    with pytest.raises(InvalidCommandError, match="later than the command's time"):
        new_command("membership.change", data, source="/cli")
    with pytest.raises(InvalidCommandError, match="later than the command's time"):
        new_command("membership.change", data, source="/cli", time=datetime(2025, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize("percent", [Decimal("12.345678901234567890123"), Decimal("NaN"), object()])
def test_what_json_cannot_hold(percent: Any) -> None:
    with pytest.raises(TypeError, match="cannot be written as JSON"):
        new_command("segment.create", {"segment": "s", "percent": percent}, source="/cli")
