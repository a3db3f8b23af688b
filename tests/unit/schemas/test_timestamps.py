"""Commands without a time of their own: they are judged by their record's timestamp."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from schemas.decode import Command, Refusal, untimely
from schemas.topics import Topic
from tests.unit.schemas.records import MISSING, accepted, errors_of, event, judge, refused

MEMBERSHIP = Topic.MEMBERSHIP_COMMANDS
REGISTER = json.dumps(event("user.register")).encode()


def test_without_a_time_the_record_has_one() -> None:
    assert accepted("user.register", time=MISSING).time == datetime(2025, 1, 31, 10, tzinfo=UTC)
    value = json.dumps(event("user.register", time=MISSING)).encode()
    command = judge(value, MEMBERSHIP, b"u1", timestamp_ms=1_738_317_600_123)
    assert isinstance(command, Command)
    assert command.time == datetime(2025, 1, 31, 10, 0, 0, 123_000, tzinfo=UTC)


@pytest.mark.parametrize("timestamp_ms", [-1, -(2**63), 2**63 - 1, 253_402_300_800_000])
def test_a_record_timestamp_that_is_no_date(timestamp_ms: int) -> None:
    """The same bytes may be right in another record, which only the state can tell; a query has no state."""
    message = {"time": "must be given, as the record's own timestamp is no date"}
    value = json.dumps(event("user.register", time=MISSING)).encode()
    command = judge(value, MEMBERSHIP, b"u1", timestamp_ms=timestamp_ms)
    assert isinstance(command, Command)
    assert errors_of(untimely(command)) == message
    query = json.dumps(event("membership.query", time=MISSING)).encode()
    refusal = judge(query, MEMBERSHIP, b"u1", timestamp_ms=timestamp_ms)
    assert isinstance(refusal, Refusal)
    assert errors_of(refusal) == message
    good = judge(REGISTER, MEMBERSHIP, b"u1", timestamp_ms=timestamp_ms)
    assert isinstance(good, Command)
    assert not good.untimely


PAST = {"user_id": "u1", "add": ["a"], "expires_at": "2024-01-01T00:00:00Z"}


def test_wrong_by_the_records_timestamp_alone() -> None:
    """Its name decides: the same bytes may have been applied while they were right."""
    command = accepted("membership.change", PAST, time=MISSING)
    refusal = untimely(command)
    assert [*errors_of(refusal)] == ["data.expires_at"]
    assert (refusal.code, refusal.command_id, refusal.command_source) == ("invalid", "c1", "/tests")
    assert refusal.message.startswith("The command is invalid: data.expires_at must be later than the command's time")
    before = judge(
        json.dumps(event("membership.change", PAST, time=MISSING)).encode(), MEMBERSHIP, b"u1", timestamp_ms=0
    )
    assert isinstance(before, Command)
    assert (before.untimely, before.content) == ((), command.content)


@pytest.mark.parametrize(
    ("data", "others"),
    [(PAST, {}), (PAST | {"remove": ["a"]}, {"time": MISSING}), (PAST | {"ttl": "P1D"}, {"time": MISSING})],
)
def test_wrong_whatever_the_records_timestamp(data: dict[str, Any], others: dict[str, Any]) -> None:
    assert refused("membership.change", data, **others).code == "invalid"


def test_a_wrong_key_is_wrong_at_any_time() -> None:
    value = json.dumps(event("membership.change", PAST, time=MISSING)).encode()
    refusal = judge(value, MEMBERSHIP, b"u2")
    assert isinstance(refusal, Refusal)
    assert [*errors_of(refusal)] == ["data.expires_at", "key"]
