"""What the topic of states costs a drain, and how fast a snapshot of all users is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.drain import preloaded
from benchmarks.usage import cpu, rss_mib
from benchmarks.world import USERS, World, worker
from worker.settings import Settings

SNAPSHOT_SECONDS_MAX = 600.0
MEMBERSHIPS = """
insert into memberships (user_key, segment_key, included, origin, since)
select u.user_key, s.segment_key, true, 'command', now()
from users u join segments s on s.segment_key in (u.user_key % 1000 + 1, (u.user_key * 7) % 1000 + 1)
"""


async def state(world: World, commands: int, rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Drains with the topic off and on in turn; then one snapshot."""
    runs: dict[str, list[dict[str, Any]]] = {"off": [], "on": []}
    for number in range(rounds):
        for how in ("off", "on"):
            say(f"round {number + 1} of {rounds}: drain, state {how}")
            before = partial(_switched_on, world) if how == "on" else None
            runs[how].append(await preloaded(world, commands, number, before=before, state_topic=how))
    say("snapshot")
    return {"drain": runs, "snapshot": await _snapshot(world)}


async def _switched_on(world: World, settings: Settings) -> None:
    """Wait until the snapshot with which that begins is over."""
    async with worker(world, settings):
        await _snapshot_ends(world, settings)


async def _snapshot_ends(world: World, settings: Settings) -> None:
    async with asyncio.timeout(SNAPSHOT_SECONDS_MAX):
        while not await world.value("select count(finished_at) from state_snapshots", _database(settings)):
            await asyncio.sleep(0.1)


def _database(settings: Settings) -> str:
    return settings.database_url.get_secret_value().rpartition("/")[2]


async def _snapshot(world: World) -> dict[str, Any]:
    async with world.deployment(state_topic="on") as settings:
        database = _database(settings)
        await world.execute(MEMBERSHIPS, database)
        await world.execute("vacuum analyze memberships", database)
        async with worker(world, settings) as process:
            began, before, peak = time.monotonic(), cpu(world.services, process.pid), 0.0
            async with asyncio.timeout(SNAPSHOT_SECONDS_MAX):
                while not await world.value("select count(finished_at) from state_snapshots", database):
                    peak = max(peak, rss_mib(process.pid))
                    await asyncio.sleep(0.1)
            seconds = time.monotonic() - began
            after = cpu(world.services, process.pid)
        users = await world.value("select users from state_snapshots", database)
        assert users == USERS, users
    return {
        "users": users,
        "seconds": round(seconds, 2),
        "users_per_second": round(users / seconds),
        "cpu_us_per_user": after.since(before, users),
        "peak_mib": round(peak, 1),
    }
