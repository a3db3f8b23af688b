"""An event's `subject`: its record key, but of a refused record, whose key may be anything, the record's place."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from schemas.events import EVENTS, EventType
from worker.journal.encode import SCHEDULE_EVENTS, Encoder
from worker.settings import Settings

ROW: dict[str, Any] = {
    "sequence": 7,
    "time": datetime(2026, 11, 26, 12, tzinfo=UTC),
    "reason": "command",
    "segment_key": 1,
    "user_id": "ada",
    **dict.fromkeys(("entered", "exited", "renewed", "unchanged", "expires_at"), None),
    **dict.fromkeys(("command_id", "command_source", "correlation_id", "traceparent"), None),
    "record_key": b"whatever",
    "detail": orjson.dumps(
        {"topic": "t", "partition": 2, "offset": 9, "import": "spring", "year": 2026, "month": 3, "segment": "beta"}
    ).decode(),
}
JOURNALED = [name for name in EVENTS if name != "membership.snapshot"]
SUBJECTS = {"command": "ada", "membership": "ada", "segment": "beta", "import": "spring", "report": "2026-03"}


class Names:
    """A session that knows the segment."""

    async def fetch(self, _: str, keys: list[int]) -> list[dict[str, object]]:
        return [{"segment_key": key, "segment": "beta", "segment_id": "i"} for key in keys]


@pytest.mark.parametrize("name", JOURNALED)
async def test_the_subject_is_the_record_key(name: EventType) -> None:
    encoder = Encoder(Names(), Settings(), "journal")  # type: ignore[arg-type] # in a session's place
    row = ROW | {"type": name} | ({"detail": '{"user_id": "ada"}'} if name in SCHEDULE_EVENTS else {})
    (event,) = await encoder.encode([row])  # type: ignore[list-item] # in a record's place
    said = orjson.loads(event.value)
    if name == "command.rejected":
        assert (said["subject"], said["partitionkey"], event.key) == ("t/2/9", "whatever", b"whatever")
    else:
        assert said["subject"] == said["partitionkey"] == (event.key or b"").decode() == SUBJECTS[name.split(".")[0]]


def test_the_reference_says_so() -> None:
    """And names the one exception."""
    text = Path("docs/contract-reference.md").read_text()
    (line,) = [line for line in text.splitlines() if line.startswith("| `subject` |") and "record key" in line]
    assert "which is the record key" in line
    assert "Of `command.rejected` it is the record's place, `topic/partition/offset`" in line
