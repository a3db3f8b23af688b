"""Commands that take effect later, as they are decoded, and as they are kept until then."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schemas.commands import COMMANDS, Change, CommandType
from schemas.decode import Command
from schemas.envelope import qualified
from schemas.producer import Place, new_command
from schemas.schedules import kept, restored, subject
from schemas.topics import Topic
from tests.unit.schemas.records import GOOD, MISSING, TIME, accepted, errors_of, judge, judged, key_of, refused

SCHEDULED: tuple[CommandType, ...] = (
    "segment.create",
    "segment.update",
    "segment.delete",
    "user.forget",
    "membership.change",
    "import.commit",
)
NOW = datetime.fromisoformat(TIME)
LATER = "2025-06-01T12:00:00+02:00"
AT = datetime(2025, 6, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize("name", SCHEDULED)
def test_an_instant_in_either_mode(name: CommandType) -> None:
    assert accepted(name, effectiveat=LATER).effective_at == AT
    assert accepted(name).effective_at is None
    attributes = {"specversion": "1.0", "id": "c1", "source": "/s", "type": qualified(name), "effectiveat": LATER}
    headers = tuple((f"ce_{attribute}", value.encode()) for attribute, value in attributes.items())
    binary = judge(json.dumps(GOOD[name]).encode(), COMMANDS[name].topic, key_of(GOOD[name]), headers)
    assert isinstance(binary, Command), binary
    assert binary.effective_at == AT


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in SCHEDULED])
def test_all_other_commands_take_effect_at_once(name: CommandType) -> None:
    errors = errors_of(refused(name, effectiveat=LATER))
    assert errors["effectiveat"].startswith("is not taken with this command: only segment commands, membership.change")
    assert accepted(name, effectiveat=None).effective_at is None


@pytest.mark.parametrize(
    ("at", "message"),
    [
        ("2025-06-01T10:00:00", "must be a date and time with a zone (RFC 3339), such as"),
        ("2025-02-30T10:00:00Z", "must be a date and time that exists"),
        ("tomorrow", "must be a date and time with a zone"),
        (1, "must be text"),
        ("2027-01-31T10:00:00.000001Z", "must be at most 2 years ahead, not after 2027-01-31T10:00:00Z, is 2027-01-31"),
        ("2125-01-31T10:00:00Z", "must be at most 2 years ahead"),
    ],
)
def test_an_instant_that_is_none(at: object, message: str) -> None:
    assert errors_of(refused("membership.change", effectiveat=at))["effectiveat"].startswith(message)


def test_two_years_count_from_the_record_whatever_its_time_says() -> None:
    assert accepted("segment.delete", effectiveat="2027-01-31T10:00:00Z", time="2010-01-01T00:00:00Z")
    assert refused("segment.delete", effectiveat="2029-01-01T10:00:00Z", time="2028-01-01T00:00:00Z")


@pytest.mark.parametrize(
    ("at", "until"),
    [
        (LATER, AT + timedelta(days=1)),
        ("2025-01-31T09:59:59Z", NOW + timedelta(days=1)),  # not later than its time: an ordinary command
        (MISSING, NOW + timedelta(days=1)),
    ],
)
def test_a_ttl_counts_from_it(at: Any, until: datetime) -> None:
    command = accepted("membership.change", {"user_id": "u", "add": ["a"], "ttl": "P1D"}, effectiveat=at)
    assert command.data == Change("u", [("a", until)], [])


@pytest.mark.parametrize("time", [TIME, MISSING])
def test_an_expiry_that_comes_before_it(time: Any) -> None:
    data = {"user_id": "u", "add": ["a"], "expires_at": "2025-05-01T00:00:00Z"}
    errors = errors_of(refused("membership.change", data, effectiveat=LATER, time=time))
    assert errors["data.expires_at"] == (
        "must be later than effectiveat, 2025-06-01T10:00:00Z, is 2025-05-01T00:00:00Z"
    )


def test_a_record_that_is_sent_again_when_all_is_over_is_still_the_same_command() -> None:
    """It has no time of its own, so only its name can tell that it was right before."""
    data = {"user_id": "u", "add": ["a"], "expires_at": "2025-01-31T09:30:00Z"}
    command = judged("membership.change", data, effectiveat="2025-01-31T09:00:00Z", time=MISSING)
    assert isinstance(command, Command)
    assert [error.field for error in command.untimely] == ["data.expires_at"]


@pytest.mark.parametrize("name", SCHEDULED)
def test_what_is_kept_comes_back(name: CommandType) -> None:
    made = accepted(name, effectiveat=LATER)
    assert restored(name, kept(made.data).decode()) == made.data
    assert set(subject(made.data)) <= {"segment", "user_id", "import"}


def test_a_change_is_kept_in_the_form_of_the_contract() -> None:
    data = {"user_id": 5, "add": ["a", {"segment": "b", "ttl": "PT1.5S"}]}
    text = kept(accepted("membership.change", data, effectiveat=LATER).data)
    assert json.loads(text) == {
        "user_id": "5",
        "add": ["a", {"segment": "b", "expires_at": "2025-06-01T10:00:01.500000Z"}],
        "remove": [],
    }


def test_an_expiry_is_never_judged_again() -> None:
    """It may be over when the command is decided, long after its instant."""
    text = '{"user_id": "u", "add": [{"segment": "a", "expires_at": "2001-01-01T00:00:00Z"}], "remove": []}'
    assert restored("membership.change", text) == Change("u", [("a", datetime(2001, 1, 1, tzinfo=UTC))], [])


@pytest.mark.parametrize("text", ['{"user_id": "u", "colour": 1}', '{"user_id": "u", "add": []}', "{}"])
def test_what_another_version_has_kept(text: str) -> None:
    with pytest.raises(ValueError, match=r"must|colour|user_id"):
        restored("membership.change", text)


def test_cancelling_needs_a_key() -> None:
    value = json.dumps(
        {"specversion": "1.0", "id": "x", "source": "/s", "type": qualified("schedule.cancel")}
        | {"data": GOOD["schedule.cancel"]}
    )
    for topic in COMMANDS["schedule.cancel"].topics:
        assert isinstance(judge(value.encode(), topic, b"k"), Command)
        refusal = judge(value.encode(), topic, None)
        assert not isinstance(refusal, Command)
        assert errors_of(refusal) == {"key": "must be that of the command that it cancels, is missing"}


def test_a_producer_must_say_where_it_is_cancelled() -> None:
    data = {"command_id": "1", "command_source": "/s"}
    with pytest.raises(TypeError, match="hand that place over"):
        new_command("schedule.cancel", data, source="/s")
    place = Place(Topic.MEMBERSHIP_COMMANDS, b"ada")
    assert new_command("schedule.cancel", data, source="/s", place=place).key == b"ada"
