"""Which events `watch` takes."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.envelope import qualified
from worker.cli.watch import Choice

CHANGED = {
    "type": qualified("membership.changed"),
    "partitionkey": "ada",
    "data": {
        "user_id": "ada",
        "entered": [{"segment": "in"}],
        "exited": [{"segment": "out"}],
        "renewed": [{"segment": "again"}],
        "unchanged": ["same"],
    },
}
REJECTED = {"type": qualified("command.rejected"), "partitionkey": "ada", "data": {"code": "malformed"}}
CREATED = {"type": qualified("segment.created"), "partitionkey": "beta", "data": {"segment": "beta"}}
ANSWER = {"type": qualified("membership.snapshot"), "data": {"user_id": "ada", "segments": [{"segment": "in"}]}}
EVENTS: list[dict[str, Any]] = [CHANGED, REJECTED, CREATED, ANSWER]


@pytest.mark.parametrize(
    ("choice", "taken"),
    [
        (Choice(None, None, None), EVENTS),
        (Choice("ada", None, None), [CHANGED, REJECTED, ANSWER]),
        (Choice("bob", None, None), []),
        (Choice(None, "in", None), [CHANGED, ANSWER]),
        (Choice(None, "out", None), [CHANGED]),
        (Choice(None, "again", None), [CHANGED]),
        (Choice(None, "same", None), [CHANGED]),
        (Choice(None, "beta", None), [CREATED]),
        (Choice(None, None, "membership.changed"), [CHANGED]),
        (Choice("ada", "in", "membership.snapshot"), [ANSWER]),
    ],
)
def test_filters(choice: Choice, taken: list[dict[str, Any]]) -> None:
    assert [event for event in EVENTS if choice.takes(event)] == taken


@pytest.mark.parametrize("data", [None, 5, [], {"entered": 5, "exited": [None, 5], "segments": None}])
def test_a_strange_event_breaks_nothing(data: object) -> None:
    strange = {"type": "x", "data": data}
    assert Choice(None, None, None).takes(strange)
    assert not Choice("ada", None, None).takes(strange)
    assert not Choice(None, "beta", None).takes(strange)
