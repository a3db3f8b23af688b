"""An event about very many segments: it always fits into what Kafka takes, and says what it leaves out."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from worker.journal.encode import EVENT_ITEMS_MAX, Encoder
from worker.kafka.clients import EVENT_BYTES_MAX
from worker.settings import Settings

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
ROW: dict[str, Any] = {
    "sequence": 7,
    "time": NOON,
    "type": "membership.changed",
    "reason": "command",
    "segment_key": None,
    "user_id": "ä" * 128,
    "entered": None,
    "exited": None,
    "renewed": None,
    "unchanged": None,
    "expires_at": None,
    "command_id": "c" * 128,
    "command_source": "/" + "s" * 254,
    "correlation_id": None,
    "traceparent": None,
    "record_key": None,
    "detail": None,
}


class Names:
    """A session that knows every segment by a name of full length."""

    async def fetch(self, _: str, keys: list[int]) -> list[dict[str, object]]:
        return [
            {"segment_key": key, "segment": f"{key:0255}", "segment_id": f"{key:08}-0000-4000-8000-000000000000"}
            for key in keys
        ]


async def event_of(**columns: object) -> dict[str, Any]:
    encoder = Encoder(Names(), Settings(), "journal")  # type: ignore[arg-type] # in a session's place
    (event,) = await encoder.encode([ROW | columns])  # type: ignore[list-item] # in a record's place
    assert len(event.value) + len(event.key or b"") < EVENT_BYTES_MAX
    found: dict[str, Any] = json.loads(event.value)["data"]
    return found


async def test_the_most_that_one_event_names() -> None:
    keys = list(range(EVENT_ITEMS_MAX))
    data = await event_of(entered=keys, expires_at=[NOON] * len(keys))
    assert len(data["entered"]) == EVENT_ITEMS_MAX
    assert "omitted" not in data


async def test_more_are_counted() -> None:
    """The lists are cut at their ends, the last one first, and each expiry stays with its segment."""
    entered, renewed, exited = [1, 2], list(range(10, 10 + EVENT_ITEMS_MAX)), [3]
    times = [NOON.replace(year=2027), None, *([NOON.replace(year=2028)] * len(renewed))]
    data = await event_of(entered=entered, renewed=renewed, exited=exited, unchanged=[4], expires_at=times)
    assert [item["expires_at"] for item in data["entered"]] == ["2027-11-26T12:00:00Z", None]
    assert [len(data[name]) for name in ("entered", "exited", "renewed", "unchanged")] == [2, 1, EVENT_ITEMS_MAX - 3, 0]
    assert {item["expires_at"] for item in data["renewed"]} == {"2028-11-26T12:00:00Z"}
    assert data["omitted"] == 4
