"""Events as bytes, held against the models, the exported JSON Schemas and the official SDK."""

import base64
import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, get_args
from uuid import UUID

import orjson
import pytest
from cloudevents.core.bindings import kafka
from cloudevents.core.formats.json import JSONFormat
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from schemas import jsonschemas
from schemas.encode import encode_data, encode_event
from schemas.envelope import STRUCTURED_HEADERS, qualified
from schemas.events import EventType, check_event

ID = "0193d5f0-7c2e-4a39-a5d9-0123456789ab"
NOW = datetime(2025, 1, 31, 10, 0, 0, 123_456, tzinfo=UTC)
STATE = {
    "segment": "a",
    "segment_id": ID,
    "salt": ID,
    "description": None,
    "owner": "o",
    "tags": ["t"],
    "percent": 12.5,
}
IMPORT = {"import": "i1", "segment": "a", "segment_id": ID, "mode": "add"}
SCHEDULED = {
    "command_id": "c1",
    "command_source": "/s",
    "command_type": "segmentation.segment.update.v1",
    "effective_at": NOW,
    "segment": "a",
}
REFUSED = {
    "code": "invalid",
    "message": "m",
    "errors": [{"field": "data", "message": "is missing"}],
    "topic": "segmentation.membership-commands",
    "partition": 0,
    "offset": 5,
    "record": base64.b64encode(b"x").decode(),
    "record_bytes": 1,
}
DATA: dict[EventType, dict[str, Any]] = {
    "segment.created": STATE | {"percent": None},
    "segment.updated": STATE,
    "segment.deleted": {"segment": "a", "segment_id": ID},
    "segment.populated": {
        "segment": "a",
        "segment_id": ID,
        "cause": "rollout",
        "percent": 5,
        "entered": 2,
        "exited": 0,
    },
    "membership.changed": {
        "user_id": "u1",
        "reason": "command",
        "entered": [{"segment": "a", "segment_id": ID, "expires_at": NOW}],
        "exited": [{"segment": "b", "segment_id": ID}],
        "renewed": [{"segment": "c", "segment_id": ID, "expires_at": None}],
        "unchanged": ["d"],
    },
    "report.published": {
        "year": 2025,
        "month": 1,
        "link": "file:///r.csv",
        "rows": 3,
        "bytes": 99,
        "sha256": "0" * 64,
        "storage": "directory",
    },
    "import.began": IMPORT,
    "import.received": IMPORT | {"received": 5},
    "import.completed": IMPORT
    | dict.fromkeys(("received", "users", "entered", "exited", "renewed", "unchanged", "registered", "unknown"), 5)
    | {"too_many_segments": 1, "too_many_segments_sample": ["u2"], "unknown_sample": ["u1"], "began_at": NOW},
    "import.failed": {"import": "i1", "segment": "a", "code": "cancelled", "message": "m"},
    "report.failed": {"year": 2025, "month": 1, "code": "storage", "message": "m"},
    "command.rejected": REFUSED | {"command_id": "c1", "command_source": "/s", "command_type": "t"},
    "membership.snapshot": {
        "user_id": "u1",
        "segments": [{"segment": "a", "segment_id": ID, "origin": "rollout", "since": NOW, "expires_at": None}],
    },
    "command.scheduled": SCHEDULED,
    "command.unscheduled": SCHEDULED,
}
OPTIONAL = ["key", "sequence", "causationid", "causationsource", "correlationid", "traceparent"]
NAMES: tuple[EventType, ...] = get_args(EventType)


def encoded(name: EventType, data: Any = None, **columns: Any) -> bytes:
    given: dict[str, Any] = {"key": "u1", "sequence": 7, "causationid": "c", "causationsource": "/s"}
    given |= {"correlationid": "k", "traceparent": "t"} | columns
    data = DATA[name] if data is None else data
    return encode_event(id="e-7", source="/segmentation", type=name, time=NOW, subject="u1", data=data, **given)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("is_fragment", [False, True])
@pytest.mark.parametrize("columns", [{}, dict.fromkeys(OPTIONAL)])
def test_an_event_meets_its_model_its_schema_and_the_sdk(
    name: EventType, is_fragment: bool, columns: dict[str, Any]
) -> None:
    data = orjson.Fragment(encode_data(DATA[name])) if is_fragment else DATA[name]
    value = encoded(name, data, **columns)
    check_event(name, value)
    Draft202012Validator(jsonschemas.json_schema(name), format_checker=Draft202012Validator.FORMAT_CHECKER).validate(
        json.loads(value)
    )
    message = kafka.KafkaMessage(headers=dict(STRUCTURED_HEADERS), key=None, value=value)
    event = kafka.from_kafka(message, JSONFormat())
    assert (event.get_id(), event.get_type(), event.get_time()) == ("e-7", qualified(name), NOW)
    assert event.get_subject() == "u1"
    assert event.get_data() == json.loads(value)["data"]
    assert event.get_extension("sequence") == (None if columns else "7")


def test_the_bytes() -> None:
    value = encoded("segment.deleted", traceparent=None, correlationid=None)
    assert value.decode() == (
        '{"specversion":"1.0","id":"e-7","source":"/segmentation","type":"segmentation.segment.deleted.v1",'
        '"time":"2025-01-31T10:00:00.123456Z","subject":"u1","datacontenttype":"application/json","partitionkey":"u1",'
        f'"sequence":"7","causationid":"c","causationsource":"/s","data":{{"segment":"a","segment_id":"{ID}"}}}}'
    )


def test_plain_columns_as_the_database_gives_them() -> None:
    state = STATE | {"segment_id": UUID(ID), "salt": UUID(ID), "percent": Decimal("12.50")}
    data = json.loads(encoded("segment.updated", state))["data"]
    assert (data["segment_id"], data["percent"]) == (ID, 12.5)
    assert encode_data({"percent": Decimal("20.00"), "at": NOW.replace(tzinfo=None)}) == (
        b'{"percent":20,"at":"2025-01-31T10:00:00.123456Z"}'
    )
    with pytest.raises(TypeError):
        encode_data({"x": object()})


def test_whole_seconds_and_other_zones() -> None:
    east = timezone(timedelta(hours=2))
    assert encode_data({"at": NOW.replace(microsecond=0)}) == b'{"at":"2025-01-31T10:00:00Z"}'
    assert encode_data({"at": NOW.astimezone(east)}) == b'{"at":"2025-01-31T12:00:00.123456+02:00"}'


def test_a_rejection_without_attributes_and_value() -> None:
    check_event("command.rejected", encoded("command.rejected", REFUSED | {"record": None, "record_bytes": 0}))


def test_new_reasons_are_accepted() -> None:
    check_event("membership.changed", encoded("membership.changed", DATA["membership.changed"] | {"reason": "new"}))


@pytest.mark.parametrize("name", NAMES)
def test_checking_is_strict_about_fields(name: EventType) -> None:
    with pytest.raises(ValidationError):
        check_event(name, encoded(name, DATA[name] | {"another": 1}))
    for field in DATA[name]:
        rest = {key: value for key, value in DATA[name].items() if key != field}
        optional = ["segment"] if DATA[name] is SCHEDULED else ["command_id", "command_source", "command_type"]
        if field in optional:
            check_event(name, encoded(name, rest))
        else:
            with pytest.raises(ValidationError):
                check_event(name, encoded(name, rest))


@pytest.mark.parametrize("name", NAMES)
def test_subscribers_may_meet_new_fields(name: EventType) -> None:
    value = json.loads(encoded(name, DATA[name] | {"another": 1})) | {"extension": "x"}
    Draft202012Validator(jsonschemas.json_schema(name)).validate(value)
