"""user.register and user.forget."""

from __future__ import annotations

from typing import Any

from tests.support.events import active, hold_envelope, rows
from tests.support.line import Line

NOTHING: dict[str, Any] = {"entered": [], "exited": [], "renewed": [], "unchanged": []}


async def test_register(outside: Line, name: str) -> None:
    one = await outside.ask("user.register", {"user_id": name})
    hold_envelope(outside, one)
    assert one.type == "membership.changed"
    assert one.data == NOTHING | {"user_id": name, "reason": "user_registered"}
    assert (one.key, one.event["subject"]) == (name.encode(), name)
    assert len(await rows(outside.settings, "select from users where user_id = $1", name)) == 1


async def test_register_again_is_no_error(outside: Line, name: str) -> None:
    await outside.ask("segment.create", {"segment": name})
    await outside.ask("user.register", {"user_id": name})
    await outside.ask("membership.change", {"user_id": name, "add": [name]})
    again = await outside.ask("user.register", {"user_id": name})
    assert again.data == NOTHING | {"user_id": name, "reason": "user_registered"}
    assert await active(outside.settings, name) == [name]


async def test_an_integer_is_its_decimal_text(outside: Line, name: str) -> None:
    number = int(name[1:], 16)
    await outside.ask("segment.create", {"segment": name})
    assert (await outside.ask("user.register", {"user_id": number})).data["user_id"] == str(number)
    one = await outside.ask("membership.change", {"user_id": str(number), "add": [name]})
    assert one.type == "membership.changed"


async def test_forget_ends_all_memberships(outside: Line, name: str) -> None:
    made = [await outside.ask("segment.create", {"segment": f"{name}-{letter}"}) for letter in "abc"]
    await outside.ask("user.register", {"user_id": name})
    for letter in "abc":
        await outside.ask("membership.change", {"user_id": name, "add": [f"{name}-{letter}"]})
    await outside.ask("membership.change", {"user_id": name, "remove": [f"{name}-c"]})
    one = await outside.ask("user.forget", {"user_id": name})
    hold_envelope(outside, one)
    left = [{"segment": segment.data["segment"], "segment_id": segment.data["segment_id"]} for segment in made[:2]]
    assert one.data == NOTHING | {"user_id": name, "reason": "user_forgotten", "exited": left}
    assert await rows(outside.settings, "select from users where user_id = $1", name) == []
    unowned = "select from memberships where user_key not in (select user_key from users)"
    assert await rows(outside.settings, unowned) == []


async def test_a_forgotten_user_begins_anew(outside: Line, name: str) -> None:
    await outside.ask("segment.create", {"segment": name})
    await outside.ask("user.register", {"user_id": name})
    await outside.ask("membership.change", {"user_id": name, "add": [name]})
    await outside.ask("user.forget", {"user_id": name})
    refused = await outside.ask("membership.change", {"user_id": name, "add": [name]})
    assert refused.data["code"] == "user_not_found"
    await outside.ask("user.register", {"user_id": name})
    assert await active(outside.settings, name) == []


async def test_forget_of_no_user(outside: Line, name: str) -> None:
    one = await outside.ask("user.forget", {"user_id": name})
    hold_envelope(outside, one)
    assert one.data["code"] == "user_not_found"
    assert one.data["message"] == f"User '{name}' is not known; register it with user.register first."
    assert one.data["errors"] == [{"field": "data.user_id", "message": "user is not known"}]


async def test_users_are_compared_as_they_are_written(outside: Line, name: str) -> None:
    """No folding of case and no normalisation: two users."""
    for user in (f"{name}\u00e9", f"{name}e\u0301", f"{name}\u00c9"):
        assert (await outside.ask("user.register", {"user_id": user})).data["user_id"] == user
    known = await rows(outside.settings, "select user_id from users where starts_with(user_id, $1)", name)
    assert len(known) == 3
