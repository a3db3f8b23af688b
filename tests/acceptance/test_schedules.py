"""Commands that take effect later, as a person sends, sees and takes them back."""

from __future__ import annotations

import asyncio
import json

from tests.acceptance.shell import Shell

REJECTED_SECONDS_MAX = 30.0


async def test_a_membership_that_begins_later(shell: Shell, name: str) -> None:
    commands = [
        {"type": "segment.create", "data": {"segment": name}},
        {"type": "user.register", "data": {"user_id": name}},
    ]
    await shell.good("send", "-", "--wait", stdin="\n".join(map(json.dumps, commands)))
    change = json.dumps({"user_id": name, "add": [name], "ttl": "P1D"})
    send = ("send", "membership.change", change, "--id", name, "--wait", "--at")
    said = await shell.good(*send, "P1M")
    assert f"{name}  membership.change scheduled for 2" in said
    instant = said.splitlines()[0].rpartition("--at ")[2]
    assert said.startswith(f"--at P1M is {instant}; a retry under this id must repeat that instant: --at 2")
    assert f"scheduled before: membership.change {name} of" in await shell.good(*send, instant)
    moved = (await shell.run(*send, "P1M")).out
    assert "rejected id_reused" in moved
    assert f"+{name} until 2" in await shell.good("schedule", "--user", name)
    (row,) = map(json.loads, (await shell.good("schedule", "--segment", name, "--json")).splitlines())
    assert (row["command_id"], row["user_id"], row["data"]["remove"]) == (name, name, [])
    said = await shell.good("why", name, name)
    assert "never added" in said
    assert f"{name}: +{name} until" in said.partition("to come")[2]
    assert "to come" in await shell.good("segment", name)
    (coming,) = json.loads(await shell.good("why", name, name, "--json"))["coming"]
    assert coming == row
    told = (await shell.good("history", name)).splitlines()
    assert told[0] == "to come"
    assert "rejected id_reused" in told[2]
    assert any("membership.change scheduled for" in line for line in told[3:])

    done = await shell.good("unschedule", name)
    assert f"{name}  membership.change will not take effect at 2" in done
    assert f'No command "{name}" waits: it has taken effect, was cancelled' in await shell.bad("unschedule", name)
    assert await shell.good("schedule", "--user", name) == "nothing is scheduled there\n"
    await shell.good("send", "membership.change", change, "--id", f"{name}-2", "--wait", "--at", "P1M")
    await shell.good("send", "user.forget", json.dumps({"user_id": name}), "--wait")
    assert await shell.good("schedule", "--user", name) == "nothing is scheduled there\n"
    async with asyncio.timeout(REJECTED_SECONDS_MAX):
        while "was forgotten before the command took effect" not in (past := await shell.good("history", name)):
            pass
    assert "to come" not in past
    assert "rejected user_not_found" in past


async def test_a_ramp(shell: Shell, name: str) -> None:
    await shell.good("send", "segment.create", json.dumps({"segment": name}), "--wait")
    said = (await shell.good("ramp", name, "0,5,7.5", "--every", "P1M")).splitlines()
    assert len(said) == 3
    assert "0 % of all users" in said[0]
    assert all("segment.update scheduled for" in line for line in said[1:])
    listed = (await shell.good("schedule", "--segment", name, "--json")).splitlines()
    assert [json.loads(line)["data"]["percent"] for line in listed] == [5, 7.5]
    assert "the first step was rejected: nothing is scheduled" in await shell.bad(
        "ramp", f"{name}x", "1,2", "--every", "P1D"
    )
    assert await shell.good("schedule", "--segment", f"{name}x") == "nothing is scheduled there\n"
    assert "at most 2 years ahead" in await shell.bad("ramp", name, "1,2", "--every", "P3Y")
    assert "unschedule ID" in await shell.bad("send", "schedule.cancel", '{"command_id": "1", "command_source": "/s"}')
    assert "with a zone" in await shell.bad("send", "segment.delete", json.dumps({"segment": name}), "--at", "monday")
