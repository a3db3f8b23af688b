"""Segments as a person looks them up: the list, all about one, and who is in it."""

from __future__ import annotations

import asyncio
import csv
import io
import json

from tests.acceptance.shell import Shell

COUNTED_SECONDS_MAX = 30.0


async def _made(shell: Shell, name: str, users: int) -> None:
    """A segment with users by command and one by percent, counted."""
    commands = [{"type": "segment.create", "data": {"segment": name, "owner": name, "tags": ["t", name]}}]
    commands += [{"type": "user.register", "data": {"user_id": f"{name}-{number}"}} for number in range(users)]
    for number in range(users):
        data = {"user_id": f"{name}-{number}", "add": [name]}
        commands.append({"type": "membership.change", "data": data | ({"ttl": "P1D"} if number else {})})
    await shell.good("send", "-", "--wait", stdin="\n".join(map(json.dumps, commands)))
    async with asyncio.timeout(COUNTED_SECONDS_MAX):
        while json.loads(await shell.good("segment", name, "--json"))["members"] != users:
            pass


async def test_all_about_a_segment(shell: Shell, name: str) -> None:
    await _made(shell, name, 3)
    await shell.good(
        "send", "segment.update", json.dumps({"segment": name, "description": "words"}), "--wait", "--id", name
    )
    told = json.loads(await shell.good("segment", name, "--json"))
    assert (told["members"], told["owner"], told["tags"], told["rollout"]) == (3, name, ["t", name], None)
    assert (len(told["days"]), told["days"][-1]["entered"], told["days"][-1]["exited"]) == (30, 3, 0)
    assert [change["type"].split(".")[2] for change in told["changes"]] == ["updated", "created"]
    assert told["changes"][0]["causationid"] == name
    said = await shell.good("segment", name)
    assert all(part in said for part in (f"{name}  3 members", "words", told["salt"], "entered", "█  3", f"{name} of "))

    (row,) = map(json.loads, (await shell.good("segments", "--owner", name, "--json")).splitlines())
    assert (row["segment"], row["members"], row["entered_today"], row["exited_today"]) == (name, 3, 3, 0)
    listed = await shell.good("segments", "--match", name.upper(), "--tag", name, "--sort", "members")
    assert all(part in listed for part in (name, "3", "+3"))
    await shell.good("send", "segment.update", json.dumps({"segment": name, "description": f"Größe {name}"}), "--wait")
    assert name in await shell.good("segments", "--match", f"GRÖSSE {name.upper()}")
    assert "no such segment" in await shell.good("segments", "--owner", f"{name}x")


async def test_who_is_in_a_segment(shell: Shell, name: str) -> None:
    await _made(shell, name, 4)
    rows = list(csv.DictReader(io.StringIO(await shell.good("members", name, "--all", "--csv"))))
    assert {row["user_id"] for row in rows} == {f"{name}-{number}" for number in range(4)}
    assert {row["user_id"] for row in rows if not row["expires_at"]} == {f"{name}-0"}
    told = [json.loads(line) for line in (await shell.good("members", name, "--json", "--limit", "2")).splitlines()]
    assert [(row["user_id"], row["origin"]) for row in told] == [(row["user_id"], "command") for row in rows[:2]]
    assert "--all" in await shell.good("members", name, "--limit", "4")
    assert "nobody" in await shell.good("members", name, "--origin", "rollout")


async def test_a_deleted_segment_is_told_from_one_that_never_was(shell: Shell, name: str) -> None:
    await shell.good("send", "segment.create", json.dumps({"segment": name}), "--wait")
    await shell.good("send", "segment.delete", json.dumps({"segment": name}), "--wait")
    assert "deleted at" in await shell.good("segment", name)
    assert "was deleted at" in await shell.bad("members", name)
    assert "no such segment" in await shell.good("segments", "--match", name)
    assert name in await shell.good("segments", "--match", name, "--deleted")
    assert "has never been there" in await shell.bad("segment", f"{name}x")


async def test_what_is_no_name_is_said(shell: Shell) -> None:
    done = await shell.run("members", "no name")
    assert done.code == 2
    assert "SEGMENT" in done.err
    assert (await shell.run("members", "beta", "--json", "--csv")).code == 2
