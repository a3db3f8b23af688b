"""Lists of users, from the first command to the last event: each mode, what is wrong, and what comes in between."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.line import Line, Said

FUTURE = "2100-01-01T00:00:00Z"


async def begun(outside: Line, name: str, **more: Any) -> Said:
    """A list for the segment of that name."""
    return await outside.ask("import.begin", {"import": name, "segment": name, "mode": "add"} | more)


async def applied(outside: Line, name: str, *lists: list[str], users: int | None = None, **more: Any) -> Said:
    """The outcome of a list from beginning to end."""
    assert (await begun(outside, name, **more)).type == "import.began"
    for user_ids in lists:
        assert (await outside.ask("import.users", {"import": name, "user_ids": user_ids})).type == "import.received"
    data: dict[str, Any] = {"import": name}
    commit = await outside.send("import.commit", data if users is None else data | {"users": users})
    said = await outside.until(lambda said: any(one.cause == commit and one.type.startswith("import") for one in said))
    return next(one for one in said if one.cause == commit and one.type.startswith("import"))


async def known(outside: Line, name: str, count: int, **segment: Any) -> list[str]:
    """A segment, and so many users."""
    await outside.ask("segment.create", {"segment": name} | segment)
    users = [f"{name}-{number}" for number in range(count)]
    for user in users:
        await outside.ask("user.register", {"user_id": user})
    return users


async def members(outside: Line, name: str, users: list[str]) -> dict[str, Any]:
    """Who of them is in the segment, and how."""
    found = {}
    for user in users:
        answer = await outside.ask("membership.query", {"user_id": user})
        for item in answer.data["segments"]:
            if item["segment"] == name:
                found[user] = (item["origin"], item["expires_at"])
    return found


async def gone(outside: Line, name: str) -> None:
    """Delete a segment with a percent: users of other tests would fall into it."""
    assert (await outside.ask("segment.delete", {"segment": name})).type == "segment.deleted"


def changes(outside: Line, cause: str | None) -> dict[str, dict[str, Any]]:
    """What a commit has changed, by user; each has one event."""
    found = [one for one in outside.said if one.cause == cause and one.type == "membership.changed"]
    assert len({one.data["user_id"] for one in found}) == len(found)
    assert {one.data["reason"] for one in found} <= {"import"}
    return {one.data["user_id"]: one.data for one in found}


async def test_users_are_added_and_each_has_its_event(outside: Line, name: str) -> None:
    users = await known(outside, name, 4)
    await outside.ask("membership.change", {"user_id": users[0], "add": [name]})
    await outside.ask("membership.change", {"user_id": users[1], "add": [name], "ttl": "P1D"})
    done = await applied(outside, name, [users[0], users[1], f"{name}-nobody"], [users[2], users[0]], users=5)
    assert done.type == "import.completed"
    counts = {field: done.data[field] for field in ("received", "users", "entered", "exited", "renewed", "unchanged")}
    assert counts == {"received": 5, "users": 4, "entered": 1, "exited": 0, "renewed": 1, "unchanged": 1}
    assert (done.data["unknown"], done.data["unknown_sample"]) == (1, [f"{name}-nobody"])
    assert (done.key, done.event["subject"]) == (name.encode(), name)
    await outside.until(lambda _: len(changes(outside, done.cause)) == 2)
    told = changes(outside, done.cause)
    assert [told[users[2]]["entered"][0]["segment"], told[users[1]]["renewed"][0]["expires_at"]] == [name, None]
    assert (await members(outside, name, users)).keys() == set(users[:3])


async def test_an_expiry_holds_for_all_on_the_list(outside: Line, name: str) -> None:
    users = await known(outside, name, 1)
    done = await applied(outside, name, users, expires_at=FUTURE)
    assert done.data["entered"] == 1
    (until,) = [at for _, at in (await members(outside, name, users)).values()]
    assert until == "2100-01-01T00:00:00Z"


async def test_a_ttl_counts_from_the_beginning_of_the_import(outside: Line, name: str) -> None:
    users = await known(outside, name, 1)
    before = datetime.now(UTC)
    await applied(outside, name, users, ttl="P1D")
    (until,) = [datetime.fromisoformat(at) for _, at in (await members(outside, name, users)).values()]
    assert before - timedelta(minutes=1) <= until - timedelta(days=1) <= datetime.now(UTC)


async def test_users_are_removed_and_kept_out_of_the_percent(outside: Line, name: str) -> None:
    users = await known(outside, name, 3)
    await outside.ask("membership.change", {"user_id": users[0], "add": [name]})
    done = await applied(outside, name, users[:2], mode="remove")
    assert (done.data["exited"], done.data["unchanged"]) == (1, 1)
    populated = await outside.send("segment.update", {"segment": name, "percent": 100})
    assert (await outside.outcome(populated)).type == "segment.updated"
    await outside.until(
        lambda said: any(one.type == "segment.populated" and one.data["segment"] == name for one in said)
    )
    assert (await members(outside, name, users)).keys() == {users[2]}
    await gone(outside, name)


async def test_a_list_replaces_those_who_are_members_by_command(outside: Line, name: str) -> None:
    users = await known(outside, name, 6, percent=100)
    await outside.until(lambda said: sum(one.data.get("reason") == "user_registered" for one in said) >= 6)
    for user in users[:2]:
        await outside.ask("membership.change", {"user_id": user, "add": [name]})
    await outside.ask("membership.change", {"user_id": users[2], "add": [name], "expires_at": FUTURE})
    await outside.ask("membership.change", {"user_id": users[3], "remove": [name]})
    done = await applied(outside, name, [users[0], users[4]], mode="replace")
    assert (done.data["users"], done.data["exited"]) == (2, 0), "inside the percent nobody leaves"
    assert done.data["renewed"] == 1, "the one with an expiry goes on without"
    assert await members(outside, name, users) == {
        users[0]: ("command", None),
        users[1]: ("rollout", None),
        users[2]: ("rollout", None),
        users[4]: ("command", None),
        users[5]: ("rollout", None),
    }
    await gone(outside, name)


async def test_without_a_percent_those_who_are_not_on_the_list_leave(outside: Line, name: str) -> None:
    users = await known(outside, name, 3)
    for user in users[:2]:
        await outside.ask("membership.change", {"user_id": user, "add": [name]})
    done = await applied(outside, name, [users[1], users[2]], mode="replace")
    assert (done.data["entered"], done.data["exited"], done.data["unchanged"]) == (1, 1, 1)
    await outside.until(lambda _: len(changes(outside, done.cause)) == 2)
    assert changes(outside, done.cause)[users[0]]["exited"][0]["segment"] == name
    assert (await members(outside, name, users)).keys() == {users[1], users[2]}


async def test_an_empty_list_replaces_all_by_nobody(outside: Line, name: str) -> None:
    users = await known(outside, name, 1)
    await outside.ask("membership.change", {"user_id": users[0], "add": [name]})
    done = await applied(outside, name, mode="replace", users=0)
    assert (done.data["users"], done.data["exited"]) == (0, 1)


async def test_unknown_users_are_registered_where_that_is_wanted(outside: Line, name: str) -> None:
    await known(outside, name, 0)
    other = f"{name}-percent"
    await outside.ask("segment.create", {"segment": other, "percent": 100})
    done = await applied(outside, name, [f"{name}-1", f"{name}-2"], unknown_users="register")
    assert (done.data["registered"], done.data["unknown"], done.data["entered"]) == (2, 0, 2)
    answer = await outside.ask("membership.query", {"user_id": f"{name}-1"})
    assert {item["segment"] for item in answer.data["segments"]} >= {name, other}
    await gone(outside, other)


@pytest.mark.parametrize("sent", [0, 2])
async def test_a_count_that_differs_applies_nothing(outside: Line, name: str, sent: int) -> None:
    users = await known(outside, name, 1)
    done = await applied(outside, name, users, users=sent)
    assert (done.type, done.data["code"]) == ("import.failed", "count_mismatch")
    assert await members(outside, name, users) == {}


async def test_what_does_not_fit_is_said(outside: Line, name: str) -> None:
    async def code(command: Any, **data: Any) -> str:
        said = await outside.ask(command, {"import": name} | data)
        return str(said.data["code"])

    assert await code("import.users", user_ids=["a"]) == "import_not_found"
    assert await code("import.commit") == "import_not_found"
    assert await code("import.cancel") == "import_not_found"
    assert await code("import.begin", segment=name, mode="add") == "segment_not_found"
    users = await known(outside, name, 1)
    await begun(outside, name)
    assert await code("import.begin", segment=name, mode="add") == "import_exists"
    cancelled = await outside.ask("import.cancel", {"import": name})
    assert (cancelled.type, cancelled.data["code"]) == ("import.failed", "cancelled")
    assert await code("import.users", user_ids=users) == "import_closed"
    assert await code("import.commit") == "import_closed"
    assert await code("import.cancel") == "import_closed"
    assert await code("import.begin", segment=name, mode="add") == "import_exists"


async def test_a_segment_that_is_deleted_meanwhile_ends_the_import(outside: Line, name: str) -> None:
    users = await known(outside, name, 1)
    await begun(outside, name)
    await outside.ask("import.users", {"import": name, "user_ids": users})
    await outside.ask("segment.delete", {"segment": name})
    said = await outside.ask("import.commit", {"import": name})
    assert (said.type, said.data["code"]) == ("import.failed", "segment_deleted")


async def test_a_user_who_is_forgotten_is_on_no_list(outside: Line, name: str) -> None:
    users = await known(outside, name, 2)
    await begun(outside, name, unknown_users="register")
    await outside.ask("import.users", {"import": name, "user_ids": users})
    await outside.ask("user.forget", {"user_id": users[0]})
    commit = await outside.send("import.commit", {"import": name, "users": 2})
    said = await outside.until(lambda said: any(one.cause == commit and one.type == "import.completed" for one in said))
    done = next(one for one in said if one.cause == commit and one.type == "import.completed")
    assert (done.data["received"], done.data["users"], done.data["registered"]) == (2, 1, 0)
