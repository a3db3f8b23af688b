"""Both modes of CloudEvents' Kafka binding, by hand and with the official SDK."""

import json
from datetime import UTC, datetime
from typing import Any, get_args

import pytest
from cloudevents.core.bindings import kafka
from cloudevents.core.v1.event import CloudEvent
from cloudevents.v1.http import CloudEvent as OlderEvent
from cloudevents.v1.kafka import conversion as older

from schemas.commands import COMMANDS, CommandType
from schemas.decode import Command, Refusal
from schemas.envelope import qualified
from schemas.topics import Topic
from tests.unit.schemas.records import GOOD, MISSING, event, judge, key_of

NAMES: tuple[CommandType, ...] = get_args(CommandType)
MEMBERSHIP = Topic.MEMBERSHIP_COMMANDS
STRUCTURED = json.dumps(event("user.register")).encode()
ATTRIBUTES = [
    ("ce_specversion", b"1.0"),
    ("ce_id", b"c1"),
    ("ce_source", b"/tests"),
    ("ce_type", b"segmentation.user.register.v1"),
]
DATA = b'{"user_id": "u1"}'


def binary(*more: tuple[str, bytes], without: str = "", data: bytes | None = DATA) -> Command | Refusal:
    headers = [header for header in ATTRIBUTES if header[0] != without]
    return judge(data, MEMBERSHIP, b"u1", (*headers, *more))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", [kafka.to_structured_event, kafka.to_binary_event])
def test_commands_of_the_official_sdk(name: CommandType, mode: Any) -> None:
    attributes = {
        "id": "c1",
        "source": "/sdk ✓",
        "type": qualified(name),
        "time": datetime(2025, 1, 31, 10, 0, 0, 5, tzinfo=UTC),
        "datacontenttype": "application/json",
        "specversion": "1.0",
        "correlationid": "k",
        "partitionkey": (key_of(GOOD[name]) or b"any").decode(),
    }
    message = mode(CloudEvent(attributes=attributes, data=GOOD[name]))
    command = judge(message.value, COMMANDS[name].topic, message.key.encode(), tuple(message.headers.items()))
    assert isinstance(command, Command), command
    assert (command.type, command.id, command.source, command.correlationid) == (name, "c1", "/sdk ✓", "k")
    assert command.time == attributes["time"]


@pytest.mark.parametrize(
    "content_type",
    [
        b"application/cloudevents+json",
        b"application/cloudevents+json; charset=UTF-8",
        b"Application/CloudEvents+JSON;charset=utf-8",
    ],
)
@pytest.mark.parametrize("header", ["content-type", "Content-Type"])
def test_structured_mode(content_type: bytes, header: str) -> None:
    assert isinstance(judge(STRUCTURED, MEMBERSHIP, b"u1", ((header, content_type),)), Command)
    traced = (("traceparent", b"x"), (header, content_type), ("x", b"\xff"))
    assert isinstance(judge(STRUCTURED, MEMBERSHIP, b"u1", traced), Command)


def test_the_content_type_decides_the_mode() -> None:
    headers = (*ATTRIBUTES[:1], ("ce_id", b"other"), ("content-type", b"application/cloudevents+json"))
    command = judge(STRUCTURED, MEMBERSHIP, b"u1", headers)
    assert isinstance(command, Command)
    assert command.id == "c1"


@pytest.mark.parametrize(
    "content_type", ["application/json", "text/plain", "application/octet-stream", "application/cloudevents+avro", ""]
)
def test_another_content_type_without_attributes(content_type: str) -> None:
    """An object with a specversion is the event, whatever SDKs and proxies say of it."""
    headers = (("content-type", content_type.encode()), ("x", b"y"))
    command = judge(STRUCTURED, MEMBERSHIP, b"u1", headers)
    assert isinstance(command, Command)
    if not content_type:
        return
    value = json.dumps(event("user.register", specversion=MISSING)).encode()
    refusal = judge(value, MEMBERSHIP, b"u1", headers)
    assert isinstance(refusal, Refusal)
    assert refusal.code == "malformed"
    assert refusal.message.startswith(f'The content-type is "{content_type}"')
    assert "it must be application/cloudevents+json" in refusal.message
    assert (refusal.command_id, refusal.command_source) == ("c1", "/tests")


@pytest.mark.parametrize("name", NAMES)
def test_the_older_interface_of_the_official_sdk(name: CommandType) -> None:
    """It writes the whole event under the content type of the data."""
    attributes = {"type": qualified(name), "source": "/sdk", "id": "c1", "datacontenttype": "application/json"}
    message = older.to_structured(OlderEvent(attributes, GOOD[name]), key_mapper=lambda _: key_of(GOOD[name]))
    assert message.headers == {"content-type": b"application/json"}
    value, headers = message.value, tuple(message.headers.items())
    assert isinstance(value, bytes)
    command = judge(value, COMMANDS[name].topic, key_of(GOOD[name]), headers)
    assert isinstance(command, Command)
    assert (command.type, command.id, command.source) == (name, "c1", "/sdk")


@pytest.mark.parametrize("headers", [(), *[((f"{attribute}", value),) for attribute, value in ATTRIBUTES[:1]]])
def test_a_batch_is_refused_with_the_reason(headers: Any) -> None:
    batch = (*headers, ("content-type", b"application/cloudevents-batch+json; charset=utf-8"))
    for value in (b"[" + STRUCTURED + b"]", STRUCTURED):
        refusal = judge(value, MEMBERSHIP, b"u1", batch)
        assert isinstance(refusal, Refusal)
        assert refusal.code == "malformed"
        assert "batches of CloudEvents are not taken" in refusal.message


@pytest.mark.parametrize("content_type", [b"application/json", b"application/json; charset=utf-8", b"text/x+json"])
def test_binary_mode(content_type: bytes) -> None:
    time = ("ce_time", b"2025-01-31T12:00:00+02:00")
    command = binary(time, ("content-type", content_type), ("ce_correlationid", "é".encode()), ("ce_replyto", b"r"))
    assert isinstance(command, Command)
    assert (command.correlationid, command.replyto) == ("é", "r")
    assert command.time == datetime(2025, 1, 31, 10, tzinfo=UTC)
    assert isinstance(binary(), Command)


@pytest.mark.parametrize("name", ["specversion", "id", "source", "type"])
def test_binary_mode_lacks_an_attribute(name: str) -> None:
    refusal = binary(without=f"ce_{name}")
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.errors) == ("malformed", [{"field": name, "message": "is missing"}])


@pytest.mark.parametrize(
    ("header", "code", "field"),
    [
        (("content-type", b"text/plain"), "invalid", "datacontenttype"),
        (("content-type", b"\xff"), "malformed", None),
        (("ce_id", b"\xff"), "malformed", None),
        (("ce_id", b"a\0b"), "malformed", "id"),
        (("ce_id", b""), "malformed", "id"),
        (("ce_correlationid", b"a\0"), "invalid", "correlationid"),
        (("ce_time", b"today"), "invalid", "time"),
        (("ce_type", b"segmentation.segment.create.v1"), "unknown_type", "type"),
    ],
)
def test_binary_mode_with_a_bad_header(header: tuple[str, bytes], code: str, field: str | None) -> None:
    refusal = binary(header)
    assert isinstance(refusal, Refusal)
    assert refusal.code == code
    assert [error["field"] for error in refusal.errors] == ([field] if field else [])


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (None, "malformed"),
        (b"", "malformed"),
        (b"{", "malformed"),
        (b'{"user_id": "u1"}, "id": "x"', "malformed"),
        (b"null", "invalid"),
        (b"[]", "invalid"),
        (STRUCTURED, "invalid"),
    ],
)
def test_binary_mode_with_bad_data_still_tells_the_attributes(data: bytes | None, code: str) -> None:
    refusal = binary(("ce_correlationid", b"k"), data=data)
    assert isinstance(refusal, Refusal)
    assert refusal.code == code
    assert (refusal.command_id, refusal.command_source, refusal.correlationid) == ("c1", "/tests", "k")


def test_a_too_large_binary_record_still_tells_its_attributes() -> None:
    refusal = binary(data=b" " * 262_145)
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.command_id) == ("too_large", "c1")


def test_headers_other_than_attributes_do_no_harm() -> None:
    assert isinstance(binary(("ce_x", b"\xff"), ("ce_data", b"{}"), ("ce_data_base64", b"e30=")), Command)
    headers: Any = (("content-type", None), ("x", None))  # Kafka has headers without a value
    assert isinstance(judge(STRUCTURED, MEMBERSHIP, b"u1", headers), Command)


def test_of_a_header_given_twice_the_last_counts() -> None:
    command = binary(("ce_id", b"c2"))
    assert isinstance(command, Command)
    assert command.id == "c2"
