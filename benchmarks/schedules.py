"""Commands that are due at one instant: how fast they are put off and decided, and the latency of others beside."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from benchmarks.drain import drain, preloaded
from benchmarks.latency import WARM_UP_SECONDS, measured, percentiles
from benchmarks.world import World, preload, worker

AHEAD = b'"effectiveat":"%b",'
IN_SECONDS = 3
POLL_SECONDS = 0.05
PUT_FORWARD = f"update schedule set effective_at = now() + interval '{IN_SECONDS} seconds'"
LEFT = "select count(*) from (select from schedule limit 1) s"
PUBLISHED = "select h.sequence - r.published_sequence from journal_head h, relay r"


async def schedules(world: World, commands: int, seconds: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Drain as many ordinary commands, put off as many, and have all of them fall due at once."""
    say("schedules: the same number of ordinary commands")
    ordinary = await preloaded(world, commands, 1)
    async with world.deployment() as settings:
        say("schedules: put off")
        instant = time.strftime("%Y-%m-%dT00:00:00Z", time.gmtime(time.time() + 300 * 86_400))
        await preload(settings, commands, 2, AHEAD % instant.encode())
        put_off = await drain(world, settings, commands, verify=False)
        database = settings.database_url.get_secret_value().rpartition("/")[2]
        say("schedules: all are due")
        async with worker(world, settings):
            measuring = asyncio.create_task(measured(settings, seconds))
            await asyncio.sleep(1 + WARM_UP_SECONDS)
            await world.execute(PUT_FORWARD, database)
            await asyncio.sleep(IN_SECONDS)
            began = time.perf_counter()
            decided = await _until_none(world, LEFT, database, began)
            published = await _until_none(world, PUBLISHED, database, began)
            ended = time.perf_counter()
            taken = await measuring
    beside = [one for one in taken if began < one.sent_at < ended]
    quiet = [one for one in taken if one.sent_at > ended + 1]
    return {
        "commands": commands,
        "drain_per_second": ordinary["commands_per_second"],
        "put_off_per_second": put_off["commands_per_second"],
        "decided_per_second": round(commands / decided),
        "published_per_second": round(commands / published),
        "latency_beside": percentiles(beside),
        "latency_after": percentiles(quiet) if quiet else None,
    }


async def _until_none(world: World, sql: str, database: str, began: float) -> float:
    while await world.value(sql, database):
        await asyncio.sleep(POLL_SECONDS)
    return time.perf_counter() - began
