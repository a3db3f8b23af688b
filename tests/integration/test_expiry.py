"""A membership whose time is over: inactive at once, no obstacle, and journaled when it is touched."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.events import active, hold_envelope, instant, rows
from tests.support.line import Line, Said

LONG_AGO = datetime(2020, 2, 29, tzinfo=UTC)


@pytest.fixture
async def lapsed(outside: Line, name: str) -> dict[str, str]:
    """A user and a segment of that name, and a membership that was over when it came: a replayed command."""
    made = await outside.ask("segment.create", {"segment": name})
    await outside.ask("user.register", {"user_id": name})
    one = await outside.ask("membership.change", {"user_id": name, "add": [name], "ttl": "P1Y"}, time=LONG_AGO)
    assert [item["expires_at"] for item in one.data["entered"]] == ["2021-02-28T00:00:00Z"]
    return {"segment": name, "segment_id": made.data["segment_id"]}


async def test_it_is_inactive_at_once(outside: Line, name: str, lapsed: dict[str, str]) -> None:
    assert await active(outside.settings, name) == []
    assert (await outside.ask("membership.query", {"user_id": name})).data["segments"] == []
    assert (
        len(
            await rows(outside.settings, "select from memberships join users using (user_key) where user_id = $1", name)
        )
        == 1
    )


async def test_it_is_no_obstacle(outside: Line, name: str, lapsed: dict[str, str]) -> None:
    """Its expiry is told first, then the entry, with a new since."""
    one = await outside.ask("membership.change", {"user_id": name, "add": [name]})
    assert one.data["entered"] == [lapsed | {"expires_at": None}]
    _hold_expiry(outside, one, lapsed)
    sql = "select segment, origin::text, since, expires_at from active_memberships where user_id = $1"
    held = await rows(outside.settings, sql, name)
    assert held == [
        {"segment": name, "origin": "command", "since": held[0]["since"], "expires_at": None},
    ]
    assert abs((held[0]["since"] - instant(one.event["time"])).total_seconds()) < 5


async def test_the_same_expiry_again_is_an_entry_too(outside: Line, name: str, lapsed: dict[str, str]) -> None:
    """A user who was out comes in again, though the new membership be over as well."""
    one = await outside.ask("membership.change", {"user_id": name, "add": [name], "ttl": "P1Y"}, time=LONG_AGO)
    assert one.data["entered"] == [lapsed | {"expires_at": "2021-02-28T00:00:00Z"}]
    _hold_expiry(outside, one, lapsed)


async def test_removing_it_changes_nothing_but_tells_its_expiry(
    outside: Line, name: str, lapsed: dict[str, str]
) -> None:
    one = await outside.ask("membership.change", {"user_id": name, "remove": [name]})
    assert (one.data["exited"], one.data["unchanged"]) == ([], [name])
    _hold_expiry(outside, one, lapsed)


async def test_forgetting_the_user_tells_its_expiry(outside: Line, name: str, lapsed: dict[str, str]) -> None:
    one = await outside.ask("user.forget", {"user_id": name})
    assert (one.data["reason"], one.data["exited"]) == ("user_forgotten", [])
    _hold_expiry(outside, one, lapsed)


async def test_deleting_the_segment_tells_its_expiry(outside: Line, name: str, lapsed: dict[str, str]) -> None:
    """It is none of those that the deletion ended."""
    await outside.ask("segment.delete", {"segment": name})
    said = await outside.until(
        lambda said: any(one.type == "segment.populated" and one.data["segment"] == name for one in said)
    )
    assert [one.data["exited"] for one in said if one.type == "segment.populated" and one.data["segment"] == name] == [
        0
    ]
    ended = [one for one in said if one.data.get("exited") == [lapsed]]
    assert [one.data["reason"] for one in ended] == ["expiry"]


def _hold_expiry(outside: Line, before: Said, lapsed: dict[str, Any]) -> None:
    """The user's event before that one tells the expiry, once."""
    mine = [one for one in outside.said if one.data.get("user_id") == before.data["user_id"]]
    mine.sort(key=lambda one: int(one.event.get("sequence", 0)))
    told = mine[mine.index(before) - 1]
    hold_envelope(outside, told)
    assert told.cause is None
    nothing: dict[str, Any] = {"entered": [], "renewed": [], "unchanged": []}
    assert told.data == nothing | {"user_id": before.data["user_id"], "reason": "expiry", "exited": [lapsed]}
    assert int(told.event["sequence"]) == int(before.event["sequence"]) - 1
    assert [one for one in mine if one.data.get("reason") == "expiry"] == [told]
