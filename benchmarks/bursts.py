"""The worker's memory when large, many or worthless records come at once, and when much waits to be published."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import aiohttp

from benchmarks.usage import rss_mib
from benchmarks.world import World, worker
from tests.support.bursts import BURSTS, SEGMENTS, send
from worker.settings import Settings

COUNTS = {
    "large commands, compressed": 2_000,
    "largest commands": 2_000,
    "large garbage, compressed": 1_000,
    "tiny garbage": 1_000_000,
    "commands with 1,000 segments": 2_000,
}
BACKLOG_ROWS = 2_000_000
BATCH_BYTES = {"large commands, compressed": 2**30, "large garbage, compressed": 2**30}
"""A producer's batches before compression; those of the others are of 1 MiB."""
SECONDS_MAX = 600
SAMPLE_SECONDS = 0.2
PREPARE = f"""
insert into segments (segment, segment_id, salt, created_at, updated_at)
select 'segment-' || n || '-with-a-name-of-some-length', gen_random_uuid(), gen_random_uuid(), now(), now()
from generate_series(0, {SEGMENTS - 1}) n;
insert into users (user_id, registered_at) select 'u' || n, now() from generate_series(0, 49) n
"""
BACKLOG = f"""
insert into journal (sequence, time, type, reason, user_id, entered, command_id, command_source)
select n, now(), 'membership.changed', 'command', 'user-' || n % 1000000, array[1 + n % 1000], n::text, '/backlog'
from generate_series(1, {BACKLOG_ROWS}) n;
update journal_head set sequence = {BACKLOG_ROWS}
"""


async def bursts(world: World, say: Callable[[str], None]) -> dict[str, dict[str, Any]]:
    """By name: the peak of resident memory (MiB), and the seconds until all was published."""
    assert COUNTS.keys() == BURSTS.keys()
    found = {}
    for name, count in COUNTS.items():
        say(f"{count:,} of {name}")
        async with world.deployment() as settings:
            if "segments" in name:
                await world.execute(PREPARE, _database(settings))
            await send(settings, name, count, batch_bytes=BATCH_BYTES.get(name, 2**20))
            found[f"{count:,} of {name}"] = await _measured(world, settings, count)
    say(f"{BACKLOG_ROWS:,} rows to be published")
    async with world.deployment() as settings:
        await world.execute(BACKLOG, _database(settings))
        found[f"{BACKLOG_ROWS:,} rows to be published"] = await _measured(world, settings, BACKLOG_ROWS)
    return found


async def _measured(world: World, settings: Settings, count: int) -> dict[str, Any]:
    """Watch a worker until so much is published; it must be alive all the time."""
    began, peak = time.monotonic(), 0.0
    async with worker(world, settings) as process, asyncio.timeout(SECONDS_MAX), aiohttp.ClientSession() as client:
        while await world.value("select published_sequence from relay", _database(settings)) < count:
            peak = max(peak, rss_mib(process.pid))
            async with client.get(f"http://{settings.http_address}/livez") as answer:
                if answer.status != 200:
                    raise RuntimeError(await answer.text())
            await asyncio.sleep(SAMPLE_SECONDS)
        return {"peak_mib": round(max(peak, rss_mib(process.pid)), 1), "seconds": round(time.monotonic() - began, 1)}


def _database(settings: Settings) -> str:
    return settings.database_url.get_secret_value().rpartition("/")[2]
