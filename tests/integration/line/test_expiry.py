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


async def test_it_is_swept_soon(outside: Line, name: str, lapsed: dict[str, str]) -> None:
    """With its event, and no command needed; and once."""
    said = await outside.until(lambda said: any(_is_expiry(one, name) for one in said))
    (one,) = [one for one in said if _is_expiry(one, name)]
    _hold_told(outside, one, lapsed)
    sql = "select from memberships join users using (user_key) where user_id = $1"
    assert await rows(outside.settings, sql, name) == []
    assert one.key == name.encode()


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


def _is_expiry(one: Said, user_id: str) -> bool:
    return (one.data.get("user_id"), one.data.get("reason")) == (user_id, "expiry")


def _hold_expiry(outside: Line, before: Said, lapsed: dict[str, Any]) -> None:
    """The user's event before that one tells the expiry, once: noted by the command, or by the job a moment earlier."""
    mine = [
        one for one in outside.said if one.data.get("user_id") == before.data["user_id"] and "sequence" in one.event
    ]
    mine.sort(key=lambda one: int(one.event["sequence"]))
    until = mine[: mine.index(before)]
    assert [one for one in until if one.data["reason"] == "expiry"] == until[-1:]
    _hold_told(outside, until[-1], lapsed)


def _hold_told(outside: Line, told: Said, lapsed: dict[str, Any]) -> None:
    hold_envelope(outside, told)
    assert told.cause is None
    nothing: dict[str, Any] = {"entered": [], "renewed": [], "unchanged": []}
    assert told.data == nothing | {"user_id": told.data["user_id"], "reason": "expiry", "exited": [lapsed]}


@pytest.mark.parametrize("then", ["renew", "remove", "forget"])
async def test_the_last_instant_of_all_is_an_instant(outside: Line, name: str, then: str) -> None:
    """Some languages' "for ever", which asyncpg would take for infinity: it is one microsecond earlier."""
    await outside.ask("segment.create", {"segment": name})
    await outside.ask("user.register", {"user_id": name})
    change = {"user_id": name, "add": [name], "expires_at": "9999-12-31T23:59:59.9999999Z"}
    one = await outside.ask("membership.change", change)
    assert [item["expires_at"] for item in one.data["entered"]] == ["9999-12-31T23:59:59.999998Z"]
    sql = "select isfinite(expires_at) as is_finite from active_memberships where user_id = $1"
    assert await rows(outside.settings, sql, name) == [{"is_finite": True}]
    match then:
        case "renew":
            one = await outside.ask("membership.change", change | {"expires_at": "9999-12-31T00:00:00Z"})
            assert [item["segment"] for item in one.data["renewed"]] == [name]
        case "remove":
            one = await outside.ask("membership.change", {"user_id": name, "remove": [name]})
            assert [item["segment"] for item in one.data["exited"]] == [name]
        case _:
            one = await outside.ask("user.forget", {"user_id": name})
            assert [item["segment"] for item in one.data["exited"]] == [name]


async def test_infinity_of_an_earlier_version_stops_nobody(outside: Line, name: str) -> None:
    """Such a worker may write it beside this version; the migration has ended all that was there before."""
    await outside.ask("segment.create", {"segment": name})
    await outside.ask("user.register", {"user_id": name})
    await outside.ask("membership.change", {"user_id": name, "add": [name], "ttl": "P1Y"})
    sql = """
        update memberships m set expires_at = 'infinity' from users u where u.user_key = m.user_key and u.user_id = $1
    """
    await rows(outside.settings, sql, name)
    one = await outside.ask("membership.change", {"user_id": name, "remove": [name]})
    assert [item["segment"] for item in one.data["exited"]] == [name]
