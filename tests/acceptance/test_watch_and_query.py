"""`watch` and the questions: what a person sees, and what a program gets."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys

import pytest

from tests.acceptance.shell import SECONDS_MAX, Shell, ending, interrupted, line_of


async def _member(shell: Shell, name: str) -> None:
    commands = [
        {"type": "segment.create", "data": {"segment": name}},
        {"type": "user.register", "data": {"user_id": name}},
        {"type": "membership.change", "data": {"user_id": name, "add": [name], "ttl": "P1D"}},
    ]
    for command in commands:
        await shell.good("send", "-", "--wait", stdin=json.dumps(command))


async def test_a_program_gets_events_as_json(shell: Shell, name: str) -> None:
    await _member(shell, name)
    said = await shell.good("watch", "--from-beginning", "--segment", name, "--count", "2", "--timeout", "30")
    created, changed = map(json.loads, said.splitlines())
    assert created["type"] == "segmentation.segment.created.v1"
    assert changed["data"]["entered"][0]["segment"] == name


async def test_a_person_gets_coloured_lines(shell: Shell, name: str) -> None:
    await _member(shell, name)
    words = ("watch", "--from-beginning", "--user", name, "--type", "membership.changed", "--count", "2")
    done = await shell.having(FORCE_COLOR="1").run(*words)
    registered, changed = done.out.splitlines()
    assert "registered" in registered
    assert f"\x1b[32m+{name}" in changed
    assert "Ctrl-C" in done.err


async def test_a_rejection_is_its_users(shell: Shell, name: str) -> None:
    await shell.run("send", "membership.change", json.dumps({"user_id": name, "add": [name]}), "--wait")
    said = await shell.good("watch", "--from-beginning", "--user", name, "--count", "1", "--timeout", "30")
    assert json.loads(said)["data"]["code"] in ("segment_not_found", "user_not_found")


async def test_too_few_events_in_time(shell: Shell, name: str) -> None:
    assert (await shell.run("watch", "--user", name, "--count", "1", "--timeout", "0.5")).code == 1
    assert await shell.good("watch", "--user", name, "--timeout", "0.5") == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_an_interruption_is_its_normal_end(shell: Shell, name: str, number: signal.Signals) -> None:
    await _member(shell, name)
    async with ending(await shell.start("watch", "--from-beginning", "--user", name)) as watching:
        await line_of(watching.stdout)
        assert await interrupted(watching, number) == 0


@pytest.mark.parametrize("only", ["", "--user {name} --type membership.changed"], ids=["more", "nothing more"])
async def test_a_reader_that_goes_away_ends_it_quietly(shell: Shell, name: str, only: str) -> None:
    """Also where there is nothing more to write to it."""
    await _member(shell, name)
    async with ending(
        await asyncio.create_subprocess_exec(
            "bash",
            "-c",
            f'"$0" -m worker watch --from-beginning {only.format(name=name)} | head -n 1; echo "${{PIPESTATUS[0]}}"',
            sys.executable,
            env=os.environ | shell.environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    ) as process:
        async with asyncio.timeout(SECONDS_MAX):
            out, err = await process.communicate()
    first, code = out.decode().splitlines()
    assert json.loads(first)["specversion"] == "1.0"
    assert (code, err) == ("0", b"")


async def test_a_query_is_answered(shell: Shell, name: str) -> None:
    await _member(shell, name)
    answer = json.loads(await shell.good("query", name, "--json"))
    assert answer["user_id"] == name
    assert [item["segment"] for item in answer["segments"]] == [name]
    said = await shell.good("query", name)
    assert f"{name} is in 1 segment" in said
    assert "command" in said


async def test_a_user_whom_nobody_knows(shell: Shell, name: str) -> None:
    done = await shell.run("query", name)
    assert (done.code, done.out) == (1, "")
    assert f"nobody knows the user {name}" in done.err
    done = await shell.run("query", name, "--json")
    assert (done.code, json.loads(done.out)) == (1, {"user_id": name, "segments": []})
    without_database = shell.having(SEGMENTATION_DATABASE_URL="postgresql://127.0.0.1:1/none")
    done = await without_database.run("query", name)
    assert (done.code, done.out) == (0, f"{name} is in no segment\n")
    assert "can't be said" in done.err


async def test_a_user_without_segments(shell: Shell, name: str) -> None:
    await shell.good("send", "user.register", json.dumps({"user_id": name}), "--wait")
    assert await shell.good("query", name) == f"{name} is in no segment\n"


async def test_why_and_how_it_came_about(shell: Shell, name: str) -> None:
    await _member(shell, name)
    answer = json.loads(await shell.good("why", name, name, "--json"))
    assert (answer["is_in"], answer["code"], answer["cause"]["command_source"]) == (True, "added", "/segmentation/send")
    assert (await shell.good("why", name, name)).startswith(f"{name} is in {name} since ")
    newest, oldest = map(json.loads, (await shell.good("history", name, "--json")).splitlines())
    assert newest["causationid"] == answer["cause"]["command_id"]
    assert oldest["data"]["reason"] == "user_registered"
    assert (await shell.good("history", name)).endswith("that is all in the journal\n")


async def test_why_of_what_nobody_knows(shell: Shell, name: str) -> None:
    assert "has never been there" in await shell.bad("why", name, name)
    await shell.good("send", "segment.create", json.dumps({"segment": name}), "--wait")
    assert "is not known" in await shell.bad("why", name, name)
    assert "is not known" in await shell.bad("history", name)
    assert (await shell.run("why", name, "no segment")).code == 2
