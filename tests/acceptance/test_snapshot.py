"""`segmentation snapshot`: asked for, waited for, and refused where there is no topic."""

from __future__ import annotations

import json

from tests.acceptance.shell import Shell
from tests.support.line import working
from worker.settings import Settings


async def test_a_snapshot_is_written_again(settings: Settings, topics: list[str]) -> None:
    shell = Shell.of(settings)
    assert "SEGMENTATION_STATE_TOPIC is off" in await shell.bad("snapshot")
    on = settings.model_copy(update={"state_topic": "on"})
    shell = shell.having(SEGMENTATION_STATE_TOPIC="on")
    assert "memberships" in await shell.good("topics")
    said = await shell.bad("snapshot", "--wait", "--timeout", "0.1")
    assert "snapshot 1: not written within 0.1 s, no worker with the topic has begun it" in said
    async with working(on):
        assert "users are written" in await shell.good("snapshot", "--wait")
    (row,) = [
        one for one in map(json.loads, (await shell.good("jobs", "--json")).splitlines()) if one["kind"] == "snapshot"
    ]
    assert (row["name"], row["outcome"], row["unit"]) == ("states", "done", "users")
    assert "kept up to date; snapshot 2 has 0 users" in await shell.good("doctor")
