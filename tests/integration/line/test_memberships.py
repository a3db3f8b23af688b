"""membership.change: what enters, exits, is renewed and stays, and that it is all of it or nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.events import active, hold_envelope, instant, rows
from tests.support.line import Line

TIME = datetime(2025, 1, 31, 10, tzinfo=UTC)
FAR = "2999-12-31T22:00:00Z"
FARTHER = "2999-12-31T23:00:00Z"


@pytest.fixture
async def ids(outside: Line, name: str) -> dict[str, str]:
    """A registered user of that name; its segments a, b and c, with their ids."""
    await outside.ask("user.register", {"user_id": name})
    made = [await outside.ask("segment.create", {"segment": f"{name}-{letter}"}) for letter in "abc"]
    return {one.data["segment"]: one.data["segment_id"] for one in made}


def entered(ids: dict[str, str], segment: str, expires_at: str | None = None) -> dict[str, Any]:
    return {"segment": segment, "segment_id": ids[segment], "expires_at": expires_at}


def exited(ids: dict[str, str], segment: str) -> dict[str, Any]:
    return {"segment": segment, "segment_id": ids[segment]}


def changed(name: str, **lists: list[Any]) -> dict[str, Any]:
    empty: dict[str, Any] = {"entered": [], "exited": [], "renewed": [], "unchanged": []}
    return empty | {"user_id": name, "reason": "command"} | lists


async def test_add_and_remove_in_the_commands_order(outside: Line, name: str, ids: dict[str, str]) -> None:
    a, b, c = ids
    one = await outside.ask("membership.change", {"user_id": name, "add": [c, a, b]})
    hold_envelope(outside, one)
    assert one.data == changed(name, entered=[entered(ids, c), entered(ids, a), entered(ids, b)])
    assert await active(outside.settings, name) == [a, b, c]
    two = await outside.ask("membership.change", {"user_id": name, "add": [a], "remove": [c, b]})
    assert two.data == changed(name, exited=[exited(ids, c), exited(ids, b)], unchanged=[a])
    assert await active(outside.settings, name) == [a]


async def test_removing_what_is_not_there_changes_nothing(outside: Line, name: str, ids: dict[str, str]) -> None:
    a, b, _ = ids
    one = await outside.ask("membership.change", {"user_id": name, "remove": [b, a]})
    assert one.data == changed(name, unchanged=[b, a])
    again = await outside.ask("membership.change", {"user_id": name, "remove": [a, b]})
    assert again.data == changed(name, unchanged=[a, b])


async def test_a_removed_user_is_noted_as_kept_out(outside: Line, name: str, ids: dict[str, str]) -> None:
    """So that no rollout brings it back."""
    a = next(iter(ids))
    await outside.ask("membership.change", {"user_id": name, "remove": [a]})
    sql = "select included, origin::text from memberships join users using (user_key) where user_id = $1"
    assert await rows(outside.settings, sql, name) == [{"included": False, "origin": "command"}]
    one = await outside.ask("membership.change", {"user_id": name, "add": [a]})
    assert one.data == changed(name, entered=[entered(ids, a)])


async def test_each_item_has_the_expiry_that_is_nearest_to_it(outside: Line, name: str, ids: dict[str, str]) -> None:
    """An item's own, else the command's; a ttl counts from the command's time, by the calendar."""
    a, b, c = ids
    items = [{"segment": a, "expires_at": FAR}, {"segment": b, "ttl": "P100Y"}, c]
    one = await outside.ask("membership.change", {"user_id": name, "add": items, "ttl": "P90Y1M"}, time=TIME)
    hold_envelope(outside, one)
    expected = [(a, FAR), (b, "2125-01-31T10:00:00Z"), (c, "2115-02-28T10:00:00Z")]
    assert one.data == changed(name, entered=[entered(ids, segment, until) for segment, until in expected])
    sql = "select segment, expires_at from active_memberships where user_id = $1 order by 1"
    held = {row["segment"]: row["expires_at"] for row in await rows(outside.settings, sql, name)}
    assert held == {segment: instant(until) for segment, until in expected}


async def test_a_commands_expiry_holds_for_all(outside: Line, name: str, ids: dict[str, str]) -> None:
    a, b, _ = ids
    one = await outside.ask("membership.change", {"user_id": name, "add": [a, b], "expires_at": FAR})
    assert one.data == changed(name, entered=[entered(ids, a, FAR), entered(ids, b, FAR)])


async def test_a_ttl_without_a_time_counts_from_the_record(outside: Line, name: str, ids: dict[str, str]) -> None:
    """The record's own timestamp, though it is of last year."""
    a = next(iter(ids))
    at = datetime.now(UTC).replace(microsecond=0) - timedelta(days=300)
    made = {"user_id": name, "add": [a], "ttl": "P400D"}
    one = await outside.outcome(await outside.send_at("membership.change", made, at))
    assert instant(one.data["entered"][0]["expires_at"]) == at + timedelta(days=400)


async def test_renewed_and_unchanged(outside: Line, name: str, ids: dict[str, str]) -> None:
    a, b, c = ids
    await outside.ask("membership.change", {"user_id": name, "add": [a, b, c], "expires_at": FAR})
    sql = "select segment, since from active_memberships where user_id = $1"
    before = await rows(outside.settings, sql, name)
    items = [{"segment": c, "expires_at": FARTHER}, {"segment": b, "expires_at": FAR}, a]
    one = await outside.ask("membership.change", {"user_id": name, "add": items})
    hold_envelope(outside, one)
    assert one.data == changed(name, renewed=[entered(ids, c, FARTHER), entered(ids, a)], unchanged=[b])
    after = await rows(outside.settings, sql, name)
    assert sorted(map(str, after)) == sorted(map(str, before)), "since stays as it was"


async def test_an_entry_and_a_renewal_keep_their_own_expiries(outside: Line, name: str, ids: dict[str, str]) -> None:
    a, b, c = ids
    await outside.ask("membership.change", {"user_id": name, "add": [a], "expires_at": FAR})
    items = [{"segment": a, "expires_at": FARTHER}, b, {"segment": c, "expires_at": FAR}]
    one = await outside.ask("membership.change", {"user_id": name, "add": items})
    assert one.data == changed(
        name, renewed=[entered(ids, a, FARTHER)], entered=[entered(ids, b), entered(ids, c, FAR)]
    )


async def test_all_of_it_or_nothing(outside: Line, name: str, ids: dict[str, str]) -> None:
    """Every wrong name is listed with its place."""
    a, b, c = ids
    await outside.ask("membership.change", {"user_id": name, "add": [c]})
    add = [a, f"{name}-x", {"segment": f"{name}-y", "ttl": "P1D"}, b]
    one = await outside.ask("membership.change", {"user_id": name, "add": add, "remove": [c, f"{name}-z"]})
    hold_envelope(outside, one)
    assert one.data["code"] == "segment_not_found"
    assert one.data["message"] == "3 of the command's segments do not exist; nothing of it was applied."
    assert one.data["errors"] == [
        {"field": place, "message": f"segment '{name}-{letter}' does not exist"}
        for place, letter in (("data.add[1]", "x"), ("data.add[2]", "y"), ("data.remove[1]", "z"))
    ]
    assert await active(outside.settings, name) == [c]


async def test_one_wrong_segment_is_named_in_the_message(outside: Line, name: str, ids: dict[str, str]) -> None:
    one = await outside.ask("membership.change", {"user_id": name, "add": [*ids, f"{name}-X"]})
    assert one.data["message"] == f"Segment '{name}-X' does not exist; nothing of the command was applied."


async def test_an_unknown_user_is_refused_with_all_that_is_wrong(outside: Line, name: str) -> None:
    one = await outside.ask("membership.change", {"user_id": name, "add": [f"{name}-x"]})
    hold_envelope(outside, one)
    assert one.data["code"] == "user_not_found"
    assert "user.register" in one.data["message"]
    assert [error["field"] for error in one.data["errors"]] == ["data.user_id", "data.add[0]"]


async def test_a_deleted_segment_is_none(outside: Line, name: str, ids: dict[str, str]) -> None:
    a = next(iter(ids))
    await outside.ask("segment.delete", {"segment": a})
    one = await outside.ask("membership.change", {"user_id": name, "add": [a]})
    assert one.data["code"] == "segment_not_found"
    assert one.data["errors"] == [{"field": "data.add[0]", "message": f"segment '{a}' does not exist"}]


async def test_a_thousand_segments_in_one_command(outside: Line, name: str) -> None:
    wanted = [f"{name}-{number}" for number in range(1_000)]
    made = [await outside.send("segment.create", {"segment": segment}) for segment in wanted]
    await outside.ask("user.register", {"user_id": name})
    for command in made:
        await outside.outcome(command)
    one = await outside.ask("membership.change", {"user_id": name, "add": wanted})
    assert [item["segment"] for item in one.data["entered"]] == wanted
