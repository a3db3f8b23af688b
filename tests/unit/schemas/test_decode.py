"""From records to commands and refusals: the envelope, the order of judgement, the key, the words."""

import json
from datetime import UTC, datetime
from typing import Any, get_args

import pytest

from schemas.commands import COMMANDS, Change, CommandType, SegmentCreate
from schemas.cut import Cut
from schemas.decode import UNREAD, Command, Refusal, decode
from schemas.envelope import qualified
from schemas.sentences import ERRORS_MAX
from schemas.topics import Topic
from tests.unit.schemas.records import (
    MISSING,
    RECORD_BYTES_MAX,
    TIME,
    TIMESTAMP_MS,
    accepted,
    errors_of,
    event,
    judge,
    judged,
    refused,
)

COMMAND_NAMES: tuple[CommandType, ...] = get_args(CommandType)
MEMBERSHIP = Topic.MEMBERSHIP_COMMANDS
REGISTER = json.dumps(event("user.register")).encode()


@pytest.mark.parametrize("name", COMMAND_NAMES)
def test_a_good_command_is_accepted(name: CommandType) -> None:
    command = accepted(name, correlationid="k", replyto="answers")
    assert command.type == name
    assert (command.id, command.source, command.correlationid, command.replyto) == ("c1", "/tests", "k", "answers")
    assert command.time == datetime(2025, 1, 31, 10, tzinfo=UTC)


def test_a_membership_change_is_resolved() -> None:
    ends = datetime(2025, 3, 31, 10, tzinfo=UTC)
    assert accepted("membership.change").data == Change("u1", [("a", None), ("b", ends)], ["c"])


def test_null_attributes_count_as_absent() -> None:
    nothing = dict.fromkeys(["correlationid", "replyto", "traceparent", "datacontenttype", "data_base64", "time"])
    command = accepted("user.register", **nothing)
    assert (command.correlationid, command.replyto, command.traceparent) == (None, None, None)


def test_other_attributes_are_ignored() -> None:
    accepted("user.register", subject=5, dataschema="x", other={"deep": [1.5]}, partitionkey="p")


def test_too_large_comes_first() -> None:
    refusal = decode(b"x" * 11, [], None, Topic.REPORT_COMMANDS, TIMESTAMP_MS, 10)
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.message) == ("too_large", "The value has 11 bytes; at most 10 are taken.")
    assert isinstance(decode(REGISTER, [], b"u1", MEMBERSHIP, TIMESTAMP_MS, len(REGISTER)), Command)
    at_limit = decode(REGISTER, [], b"u1", MEMBERSHIP, TIMESTAMP_MS, len(REGISTER) - 1)
    assert isinstance(at_limit, Refusal)
    assert at_limit.code == "too_large"


@pytest.mark.parametrize(
    ("size", "said"),
    [
        (150_000_000, "The value has 150,000,000 bytes; at most 10 are taken."),
        (None, f"{UNREAD}; at most 10 are taken."),
    ],
)
def test_the_size_is_that_of_the_whole_value(size: int | None, said: str) -> None:
    """Of which only the first bytes were kept."""
    refusal = decode(Cut(b"x" * 11 if size else b"", size), [], b"u1", MEMBERSHIP, TIMESTAMP_MS, 10)
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.message) == ("too_large", said)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "The value is empty"),
        (b"", "The value is empty"),
        (b" ", "The value is not JSON: EOF"),
        (b"{", "The value is not JSON: "),
        (b"{}x", "The value is not JSON: "),
        (b"[1,]", "The value is not JSON: "),
        (b"null", "The value is null; it must be a CloudEvent"),
        (b"5", "The value is 5; it must be"),
        (b"[]", "The value is a list of 0; it must be"),
        (b'"\xff"', "The value is not JSON: invalid unicode"),
        (b"\xff", "The value is not JSON: "),
        ('{"a":1}'.encode("utf-16"), "The value is not JSON: it looks like UTF-16, and must be UTF-8."),
        ('{"a":1}'.encode("utf-16-le"), "The value is not JSON: it looks like UTF-16, and must be UTF-8."),
        ('{"a":1}'.encode("utf-16-be"), "The value is not JSON: it looks like UTF-16, and must be UTF-8."),
        (
            b"\0\0\0\0\7{}",
            "The value is not JSON: it starts with a zero byte, as in a Schema Registry's frame (schema id 7",
        ),
        (b"\x1f\x8b\x08\0", "The value is not JSON: it looks like gzip"),
        (b"[{}]", "The value is a list of 1; it must be a CloudEvent, an object: batches of CloudEvents are not taken"),
        (b"\xef\xbb\xbf{}", "The value starts with a byte order mark"),
        (b"[" * 10_000, "The value is not JSON: recursion limit"),
        (b'{"a":' * 10_000, "The value is not JSON: recursion limit"),
        (b"[" * 10_000 + b"]" * 10_000, "The value is not JSON: recursion limit"),
        (b'{"a":"\\ud800"}', "The value is not JSON: "),
        (b'{"a":"\x00"}', "The value is not JSON: control character"),
        (b'{"a":"\n"}', "The value is not JSON: control character"),
        (b"NaN", "The value is not JSON: "),
        (b'{"a":-Infinity}', "The value is not JSON: "),
        (b"9" * 400, "The value is a number of 400 characters; it must be"),
        (b"9" * 9_999, "The value is not JSON: number out of range"),
        (b"{}", "The record is no CloudEvent: specversion is missing; and 3 more errors."),
    ],
)
def test_malformed(value: bytes | None, message: str) -> None:
    refusal = judge(value, MEMBERSHIP, None)
    assert isinstance(refusal, Refusal)
    assert refusal.code == "malformed"
    assert refusal.message.startswith(message)


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_what_is_not_json_is_refused_in_ignored_places_too(constant: str) -> None:
    value = REGISTER[:-1] + f',"other":{constant}}}'.encode()
    refusal = judge(value, MEMBERSHIP, b"u1")
    assert isinstance(refusal, Refusal)
    assert refusal.code == "malformed"


def test_those_words_are_fine_as_text() -> None:
    assert isinstance(judge(REGISTER.replace(b"u1", b"NaN"), MEMBERSHIP, b"NaN"), Command)
    accepted("user.register", {"user_id": "-Infinity"})
    accepted("user.register", {"user_id": "\\u0000"})  # a backslash and letters, not the character


@pytest.mark.parametrize(
    ("attribute", "value", "message"),
    [
        ("specversion", MISSING, "is missing"),
        ("specversion", None, "is missing"),
        ("specversion", "0.3", 'must be "1.0", is "0.3"'),
        ("specversion", 1.0, 'must be "1.0", is 1.0'),
        ("id", MISSING, "is missing"),
        ("id", "", "must not be empty"),
        ("id", 5, "must be text, is 5"),
        ("id", "a\nb", 'must be text without control characters, is "a\\u000ab"'),
        ("id", "a\0b", 'must be text without control characters, is "a\\u0000b"'),
        ("source", MISSING, "is missing"),
        ("source", "x" * 256, "must be at most 255 characters long, has 256"),
        ("type", MISSING, "is missing"),
        ("type", 7, "must be text, is 7"),
    ],
)
def test_no_cloudevent(attribute: str, value: Any, message: str) -> None:
    refusal = judge(
        json.dumps(event("user.register") | {attribute: value}, default=lambda _: None).encode(), MEMBERSHIP, None
    )
    assert isinstance(refusal, Refusal)
    assert (refusal.code, errors_of(refusal)) == ("malformed", {attribute: message})
    assert refusal.message == f"The record is no CloudEvent: {attribute} {message}."


@pytest.mark.parametrize("given", ["x", "user.register", "segmentation.user.register.v2", "", "é" * 300, "a\0"])
def test_no_such_command(given: str) -> None:
    refusal = refused("user.register", type=given)
    assert refusal.code == "unknown_type"
    assert "segmentation.user.register.v1" in refusal.message
    assert refusal.command_type == (given if 0 < len(given) <= 255 and "\0" not in given else None)
    assert len(refusal.message) < 500


@pytest.mark.parametrize("name", COMMAND_NAMES)
@pytest.mark.parametrize("topic", [Topic.SEGMENT_COMMANDS, MEMBERSHIP, Topic.REPORT_COMMANDS])
def test_a_command_belongs_on_its_topics(name: CommandType, topic: Topic) -> None:
    outcome = judge(json.dumps(event(name, data=None)).encode(), topic, None)
    right = COMMANDS[name].topics
    assert isinstance(outcome, Refusal)
    if topic in right:
        assert outcome.code == "invalid"
    else:
        assert outcome.code == "unknown_type"
        where = " or ".join(right)
        assert outcome.message == f"The command {qualified(name)} belongs on the topic {where}, not on {topic}."


@pytest.mark.parametrize(
    ("data", "errors"),
    [
        (MISSING, {"data": "is missing"}),
        (None, {"data": "must be an object, is null"}),
        ([], {"data": "must be an object, is a list of 0"}),
        ("x", {"data": 'must be an object, is "x"'}),
        ({}, {"data.user_id": "is missing"}),
        ({"user_id": "u1", "month": 2}, {"data.month": "is not a known field here"}),
        ({"user_id": "u1", "a\n" + "b" * 99: 2}, {f"data.a\\u000a{'b' * 58}…": "is not a known field here"}),
    ],
)
def test_data_that_breaks_its_schema(data: Any, errors: dict[str, str]) -> None:
    made = event("user.register")
    made.pop("data") if data is MISSING else made.update(data=data)
    refusal = judge(json.dumps(made).encode(), MEMBERSHIP, b"u1")
    assert isinstance(refusal, Refusal)
    assert (refusal.code, errors_of(refusal)) == ("invalid", errors)


@pytest.mark.parametrize(
    ("attribute", "value", "message"),
    [
        ("datacontenttype", "text/plain", 'must be a JSON media type such as application/json, is "text/plain"'),
        ("datacontenttype", 5, "must be text, is 5"),
        ("data_base64", "e30=", "is not taken; data must be JSON, in `data`"),
        ("correlationid", "", "must not be empty"),
        ("correlationid", 5, "must be text, is 5"),
        ("correlationid", "a\0", "must not hold the character U+0000"),
        ("other", "a\0", "must not hold the character U+0000"),
        ("replyto", "a b", 'must be a Kafka topic\'s name: 1–249 of A–Z a–z 0–9 . _ -, is "a b"'),
        ("replyto", "..", "must be a Kafka topic's name, and none of Kafka's own, is \"..\""),
        ("time", "noon", 'must be a date and time with a zone (RFC 3339), such as 2025-01-31T10:00:00Z, is "noon"'),
    ],
)
def test_attributes_that_are_invalid(attribute: str, value: Any, message: str) -> None:
    refusal = refused("user.register", **{attribute: value})
    assert (refusal.code, errors_of(refusal)) == ("invalid", {attribute: message})


@pytest.mark.parametrize(
    "media_type", ["application/json", "APPLICATION/JSON; charset=utf-8", "text/json", "application/vnd.x+json"]
)
def test_json_media_types(media_type: str) -> None:
    accepted("user.register", datacontenttype=media_type)


def test_what_could_be_read_is_told() -> None:
    refusal = refused("user.register", {}, correlationid="k", id="i", source="/s")
    told = (refusal.command_id, refusal.command_source, refusal.command_type, refusal.correlationid)
    assert told == ("i", "/s", "segmentation.user.register.v1", "k")
    refusal = refused("user.register", {}, correlationid=5, id="x" * 129, source="a\0")
    assert (refusal.command_id, refusal.command_source, refusal.correlationid) == (None, None, None)


def test_errors_are_limited_and_counted() -> None:
    refusal = refused("membership.change", {"user_id": "u1", "add": [" "] * 250})
    assert len(refusal.errors) == ERRORS_MAX
    assert refusal.message.endswith("and 249 more errors; errors lists the first 100.")
    assert refused("membership.change", {"user_id": "u1", "add": [" ", " "]}).message.endswith("and 1 more error.")


def test_of_a_name_given_twice_the_last_counts() -> None:
    value = REGISTER.replace(b'"id": "c1"', b'"id": 5, "type": "x", "id": "c2"')
    command = judge(value, MEMBERSHIP, b"u1")
    assert isinstance(command, Command)
    assert command.id == "c2"


def test_a_segment_is_made_of_what_was_given() -> None:
    assert accepted("segment.create", {"segment": "s"}).data == SegmentCreate(segment="s")
    assert isinstance(judged("segment.create", {"segment": "s", "description": None, "owner": None}), Command)
    nothing = dict.fromkeys(["description", "owner", "tags", "percent"])
    assert accepted("segment.create", {"segment": "s"} | nothing).data == SegmentCreate(segment="s")


def test_the_limit_and_time_of_the_tests_are_the_contracts() -> None:
    assert RECORD_BYTES_MAX == 256 * 1024
    assert datetime.fromtimestamp(TIMESTAMP_MS / 1000, UTC) == datetime.fromisoformat(TIME)
