"""Events that are too large for their topics: what they leave out, and that they count it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from schemas.encode import encode_event
from schemas.events import EVENTS, EventType
from worker.journal.encode import Event
from worker.journal.fit import ENOUGH_BYTES, FRAME_BYTES, SHORTENED_BYTES_MIN, fitted, shortened
from worker.journal.state import StateRecord

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
SEGMENT_ID = "00000000-0000-4000-8000-000000000000"


def encoded(name: EventType, data: dict[str, Any]) -> bytes:
    return encode_event(
        id="j-7",
        source="/segmentation",
        type=name,
        time=NOON,
        subject="u",
        key="u",
        sequence=7,
        data=data,
        causationid="c",
        causationsource="/s",
        correlationid=None,
        traceparent=None,
    )


def changed(**counts: int) -> dict[str, Any]:
    """Data of a change with so many segments in each list."""
    item = {"segment": "s" * 100, "segment_id": SEGMENT_ID}
    until = item | {"expires_at": "2027-11-26T12:00:00.000000Z"}
    items = {"entered": until, "exited": item, "renewed": until, "unchanged": "s" * 100}
    lists = {name: [one] * counts.get(name, 0) for name, one in items.items()}
    return {"user_id": "u", "reason": "command"} | lists


def rejected(errors: int, record: str) -> dict[str, Any]:
    return {
        "code": "segment_not_found",
        "message": "no",
        "errors": [{"field": f"data.add[{number}]", "message": "m" * 100} for number in range(errors)],
        "topic": "t",
        "partition": 0,
        "offset": 9,
        "record": record,
        "record_bytes": len(record) * 3 // 4,
    }


def read(name: EventType, value: bytes) -> Any:
    """The data, once the event was found to be one."""
    EVENTS[name].record.model_validate_json(value)
    return orjson.loads(value)["data"]


@pytest.mark.parametrize("share", [0.9, 0.5, 0.2])
def test_a_change_names_as_many_segments_as_fit(share: float) -> None:
    """The lists are cut at their ends, in the order of an event with too many segments: what was unchanged first."""
    counts = {"entered": 30, "exited": 20, "renewed": 10, "unchanged": 5}
    value = encoded("membership.changed", changed(**counts))
    bytes_max = int(len(value) * share)
    found = shortened(value, bytes_max)
    assert bytes_max - 400 < len(found) <= bytes_max
    data = read("membership.changed", found)
    kept = {name: len(data[name]) for name in counts}
    assert sum(kept.values()) + data["omitted"] == sum(counts.values())
    assert kept["unchanged"] == 0
    assert kept["entered"] == 30 or kept["exited"] == 0


def test_what_was_left_out_before_counts_too() -> None:
    value = encoded("membership.changed", changed(entered=10) | {"omitted": 100})
    data = read("membership.changed", shortened(value, len(value) // 2))
    assert data["omitted"] == 110 - len(data["entered"])


def test_a_refused_record_goes_before_its_errors() -> None:
    value = encoded("command.rejected", rejected(50, "QUJD" * 1_000))
    found = shortened(value, len(value) - 1_001)
    data = read("command.rejected", found)
    assert len(found) <= len(value) - 1_001
    assert (len(data["errors"]), "omitted" in data) == (50, False)
    assert data["record"] == "QUJD" * 749
    assert data["record_bytes"] == 3_000
    found = shortened(value, len(value) - 5_000)
    data = read("command.rejected", found)
    assert data["record"] == ""
    assert 0 < len(data["errors"]) < 50
    assert len(data["errors"]) + data["omitted"] == 50


def test_a_record_that_was_empty() -> None:
    value = encoded("command.rejected", rejected(50, "") | {"record": None})
    assert read("command.rejected", shortened(value, len(value) - 200))["record"] is None


def test_what_has_no_rule_stays_as_it_is() -> None:
    """It waits then, and is named."""
    value = encoded("segment.deleted", {"segment": "s", "segment_id": SEGMENT_ID})
    assert shortened(value, 10) == value


def test_only_what_is_too_large_is_touched() -> None:
    small = encoded("membership.changed", changed(entered=3))
    large = encoded("membership.changed", changed(entered=1_000))
    events = [
        Event("t.a", b"u", small, 0, 1, []),
        Event("t.a", b"u", large, 0, 2, []),
        Event("t.b", b"u", large, 0, 3, []),
    ]
    assert fitted(events, {}) is events
    found = fitted(events, {"t.a": 100_000})
    assert (found[0], found[2]) == (events[0], events[2])
    assert 99_000 < len(found[1].value or b"") <= 100_000 - FRAME_BYTES
    assert found[1]._replace(value=large) == events[1]


def test_a_topic_that_takes_next_to_nothing() -> None:
    """Somebody's mistake: nothing is left out of ordinary events for it."""
    value = encoded("membership.changed", changed(entered=100))
    assert len(value) < SHORTENED_BYTES_MIN < ENOUGH_BYTES
    assert fitted([Event("t.a", b"u", value, 0, 1, [])], {"t.a": 1_000})[0].value == value


def test_a_state_says_how_many_segments_it_lacks() -> None:
    segments = [{"segment": f"s{n}", "segment_id": SEGMENT_ID} for n in range(2_000)]
    value = orjson.dumps({"user_id": "u", "sequence": 7, "segments": segments, "omitted": 3})
    records = [StateRecord("t.m", b"u", value, 0, 7, []), StateRecord("t.m", b"v", None, 0, 7, [])]
    large, tombstone = fitted(records, {"t.m": SHORTENED_BYTES_MIN})
    assert tombstone == records[1]
    assert SHORTENED_BYTES_MIN - 1_000 < len(large.value or b"") <= SHORTENED_BYTES_MIN - FRAME_BYTES
    state = orjson.loads(large.value or b"")
    assert state["segments"] == segments[: len(state["segments"])]
    assert len(state["segments"]) + state["omitted"] == 2_003
