"""The record key: what it must be, its limit, and what has become of a wrong one."""

import json
from typing import get_args

import pytest

from schemas.commands import COMMANDS, CommandType
from schemas.cut import Cut
from schemas.decode import Command, Refusal
from schemas.topics import Topic
from tests.unit.schemas.records import GOOD, accepted, errors_of, event, judge, key_of

COMMAND_NAMES: tuple[CommandType, ...] = get_args(CommandType)
MEMBERSHIP = Topic.MEMBERSHIP_COMMANDS
REGISTER = json.dumps(event("user.register")).encode()


@pytest.mark.parametrize("name", [name for name in COMMAND_NAMES if name not in ("report.request", "schedule.cancel")])
@pytest.mark.parametrize("key", [None, b"", b"other", b"u1 ", b"\xff", b"x" * 1000])
def test_the_key_is_what_the_command_is_about(name: CommandType, key: bytes | None) -> None:
    refusal = judge(json.dumps(event(name)).encode(), COMMANDS[name].topic, key)
    assert isinstance(refusal, Refusal)
    what = {"segment": "segment", "import": "import's id"}.get(name.partition(".")[0], "user id")
    right = (key_of(GOOD[name]) or b"").decode()
    assert refusal.code == "invalid"
    assert errors_of(refusal)["key"].startswith(f'must be the {what}, "{right}", is ')
    assert len(refusal.message) < 200


@pytest.mark.parametrize("key", [None, b"", b"2025-01", b"\xff"])
def test_a_report_command_has_any_key(key: bytes | None) -> None:
    assert isinstance(judge(json.dumps(event("report.request")).encode(), Topic.REPORT_COMMANDS, key), Command)


def test_keys_are_utf_8() -> None:
    accepted("user.register", {"user_id": "é😀"})
    accepted("user.register", {"user_id": 42})


def test_the_size_is_that_of_the_whole_key() -> None:
    """Of which only the first bytes were kept."""
    refusal = judge(REGISTER, MEMBERSHIP, Cut(b"x" * 2_000, 50_000_000))
    assert isinstance(refusal, Refusal)
    assert refusal.message == "The record key has 50,000,000 bytes; at most 1,024 are taken."


def test_a_key_has_a_limit() -> None:
    at_limit = judge(REGISTER, MEMBERSHIP, b"x" * 1_024)
    assert isinstance(at_limit, Refusal)
    assert at_limit.code == "invalid"
    for value in (REGISTER, b"{", None):
        refusal = judge(value, MEMBERSHIP, b"\x01" * 3_000_000)
        assert isinstance(refusal, Refusal)
        assert refusal.code == "too_large"
        assert refusal.message == "The record key has 3,000,000 bytes; at most 1,024 are taken."
        assert refusal.command_id == ("c1" if value == REGISTER else None)


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (b'"u1"', "in quotation marks"),
        (b'\0\0\0\0\7"u1"', "in a Schema Registry's frame"),
        (b"\0\0\0\0\7\4u1", "in a Schema Registry's frame"),
    ],
)
def test_what_has_become_of_a_key_is_named(key: bytes, said: str) -> None:
    refusal = judge(REGISTER, MEMBERSHIP, key)
    assert isinstance(refusal, Refusal)
    assert said in errors_of(refusal)["key"]
