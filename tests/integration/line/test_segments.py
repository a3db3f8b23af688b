"""Segment commands: each one's event, field by field, and each one's refusal."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from tests.support.events import active, hold_envelope, rows
from tests.support.line import Line, Said


async def test_create_with_all_fields(outside: Line, name: str) -> None:
    data = {"segment": name, "description": "Early", "owner": "ann", "tags": ["b", "a"], "percent": 12.5}
    one = await outside.ask("segment.create", data)
    hold_envelope(outside, one)
    assert one.type == "segment.created"
    generated = {field: one.data[field] for field in ("segment_id", "salt")}
    assert one.data == data | generated
    assert len({str(UUID(text)) for text in generated.values()}) == 2
    assert (one.key, one.event["subject"]) == (name.encode(), name)
    await outside.ask("segment.delete", {"segment": name})  # or others' users would enter it


async def test_create_with_nothing_but_a_name(outside: Line, name: str) -> None:
    one = await outside.ask("segment.create", {"segment": name})
    hold_envelope(outside, one)
    empty: dict[str, Any] = {"description": None, "owner": None, "tags": [], "percent": None}
    assert {field: one.data[field] for field in empty} == empty


async def test_a_name_is_taken(outside: Line, name: str) -> None:
    first = await outside.ask("segment.create", {"segment": name, "owner": "ann"})
    second = await outside.ask("segment.create", {"segment": name, "owner": "bob"})
    _hold_refusal(outside, second, "segment_exists", f"Segment '{name}' exists already.", "exists already")
    held = await rows(outside.settings, "select segment_id, owner from segments where segment = $1", name)
    assert held == [{"segment_id": UUID(first.data["segment_id"]), "owner": "ann"}]


async def test_names_are_case_sensitive(outside: Line, name: str) -> None:
    await outside.ask("segment.create", {"segment": name})
    assert (await outside.ask("segment.create", {"segment": name.upper()})).type == "segment.created"


async def test_update_changes_what_is_given(outside: Line, name: str) -> None:
    made = await outside.ask("segment.create", {"segment": name, "description": "x", "owner": "ann", "tags": ["a"]})
    changed = await outside.ask("segment.update", {"segment": name, "owner": "bob", "percent": 99.99})
    hold_envelope(outside, changed)
    assert changed.type == "segment.updated"
    assert changed.data == made.data | {"owner": "bob", "percent": 99.99}
    nothing = dict.fromkeys(["description", "owner", "tags", "on_decrease"])
    assert (await outside.ask("segment.update", {"segment": name, "percent": 99.99} | nothing)).data == changed.data
    emptied = await outside.ask("segment.update", {"segment": name, "description": "", "owner": "", "tags": []})
    assert emptied.data == changed.data | {"description": None, "owner": None, "tags": []}
    await outside.ask("segment.delete", {"segment": name})  # or others' users would enter it


async def test_update_of_no_segment(outside: Line, name: str) -> None:
    one = await outside.ask("segment.update", {"segment": name, "owner": "bob"})
    _hold_refusal(outside, one, "segment_not_found", f"Segment '{name}' does not exist.", "does not exist")


async def test_delete_ends_memberships_with_their_events(outside: Line, name: str) -> None:
    """The segment's own event first, one for each member, and at last how many there were."""
    made = await outside.ask("segment.create", {"segment": name})
    members = [f"{name}-{number}" for number in range(3)]
    for user in [*members, f"{name}-removed"]:
        await outside.ask("user.register", {"user_id": user})
        await outside.ask("membership.change", {"user_id": user, "add": [name]})
    await outside.ask("membership.change", {"user_id": f"{name}-removed", "remove": [name]})
    deleted = await outside.ask("segment.delete", {"segment": name})
    generation = {"segment": name, "segment_id": made.data["segment_id"]}
    hold_envelope(outside, deleted)
    assert (deleted.type, deleted.data) == ("segment.deleted", generation)
    assert [await active(outside.settings, user) for user in members] == [[], [], []]

    said = await outside.until(lambda said: any(_is_populated(one, name) for one in said))
    populated = next(one for one in said if _is_populated(one, name))
    hold_envelope(outside, populated)
    assert populated.cause is None
    assert populated.data == generation | {"cause": "segment_deleted", "percent": None, "entered": 0, "exited": 3}
    ended = [one for one in said if one.data.get("reason") == "segment_deleted" and generation in one.data["exited"]]
    assert sorted(one.data["user_id"] for one in ended) == members
    for one in ended:
        hold_envelope(outside, one)
        assert one.cause is None
        nothing: dict[str, Any] = {"entered": [], "renewed": [], "unchanged": []}
        assert one.data == nothing | {
            "user_id": one.data["user_id"],
            "reason": "segment_deleted",
            "exited": [generation],
        }
        assert int(deleted.event["sequence"]) < int(one.event["sequence"]) < int(populated.event["sequence"])


async def test_a_name_is_free_at_once_and_its_new_generation_is_empty(outside: Line, name: str) -> None:
    first = await outside.ask("segment.create", {"segment": name})
    await outside.ask("user.register", {"user_id": name})
    await outside.ask("membership.change", {"user_id": name, "add": [name]})
    await outside.send("segment.delete", {"segment": name})
    second = await outside.ask("segment.create", {"segment": name})
    assert second.type == "segment.created"
    assert second.data["segment_id"] != first.data["segment_id"]
    assert second.data["salt"] != first.data["salt"]
    assert await active(outside.settings, name) == []
    entered = await outside.ask("membership.change", {"user_id": name, "add": [name]})
    assert [item["segment_id"] for item in entered.data["entered"]] == [second.data["segment_id"]]
    await outside.until(lambda said: any(_is_populated(one, name) for one in said))
    assert await active(outside.settings, name) == [name]


async def test_delete_of_no_segment(outside: Line, name: str) -> None:
    one = await outside.ask("segment.delete", {"segment": name})
    _hold_refusal(outside, one, "segment_not_found", f"Segment '{name}' does not exist.", "does not exist")


def _is_populated(one: Said, name: str) -> bool:
    return one.type == "segment.populated" and one.data["segment"] == name


def _hold_refusal(outside: Line, one: Said, code: str, message: str, reason: str) -> None:
    hold_envelope(outside, one)
    assert one.type == "command.rejected"
    assert (one.data["code"], one.data["message"]) == (code, message)
    assert one.data["errors"] == [{"field": "data.segment", "message": reason}]
