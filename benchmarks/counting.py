"""What the tally costs: how fast it counts the journal and all memberships, and what commands feel of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import asyncpg
import psutil

from benchmarks.drain import preloaded
from benchmarks.size import FILL as MEMBERSHIPS
from benchmarks.world import SEGMENTS, USERS, World
from worker.jobs.tally import COUNT_SECONDS_MAX, Tally
from worker.postgres.session import Database, Session
from worker.settings import Settings

BACKLOG, MANY = 3_000_000, 10_000_000
RATE, RATE_SECONDS = 5_000, 30
ROWS = f"""
with head as (update journal_head set sequence = sequence + $1 returning sequence - $1 as taken_after)
insert into journal (sequence, time, type, reason, user_id, entered)
select taken_after + n, now(), 'membership.changed', 'command',
    'user-' || n % {USERS}, array[1 + (n * 7919) % {SEGMENTS}]
from head, generate_series(1, $1::bigint) n
"""
WITHOUT_TALLY = """
import sys
from worker.jobs.tally import Tally
async def nothing(*_): return None
Tally.turn = nothing
sys.argv = ["worker", "run"]
from worker.__main__ import main
main()
"""


async def tally(world: World, commands: int, rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Rows/s of a backlog, a core's share at a steady rate, seconds of the first count; drains with it and without."""
    results: dict[str, Any] = {}
    async with world.deployment() as settings:
        say(f"tally of {BACKLOG:,} rows")
        results["backlog"] = await _backlog(settings)
        say(f"tally at {RATE:,} rows/s")
        results["steady"] = await _steady(settings)
    say(f"first count of {MANY:,} memberships")
    results["first_count"] = await _first(world)
    drains: dict[str, list[int]] = {"with": [], "without": []}
    results["drain"] = drains
    for number in range(rounds):
        for name, arguments in (("with", ["-m", "worker", "run"]), ("without", ["-c", WITHOUT_TALLY])):
            say(f"drain {name} tally, round {number + 1} of {rounds}")
            run = await preloaded(world, commands, number, arguments=arguments)
            drains[name].append(run["commands_per_second"])
    return results


async def _begun(settings: Settings) -> tuple[Tally, Session]:
    database = Database(settings)
    job = Tally(database.session("count", statement_seconds_max=COUNT_SECONDS_MAX))
    session = database.session("tally")
    while not (await session.row("tally_behind"))["is_begun"]:
        await job.turn(session)
        await asyncio.sleep(0.1)
    return job, session


async def _backlog(settings: Settings) -> dict[str, Any]:
    job, session = await _begun(settings)
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    await connection.execute(ROWS, BACKLOG, timeout=600)
    await connection.execute("vacuum analyze journal", timeout=600)
    await connection.execute("checkpoint")
    await connection.close()
    began, counted = time.perf_counter(), 0
    while (more := await job.turn(session)) is not None:
        counted += more
    seconds = time.perf_counter() - began
    await session.close()
    assert counted == BACKLOG
    return {"rows": counted, "seconds": round(seconds, 2), "per_second": round(counted / seconds)}


async def _steady(settings: Settings) -> dict[str, Any]:
    """A turn a second, as the leader takes them, while rows come at a steady rate."""
    job, session = await _begun(settings)
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    assert session._connection is not None
    server = psutil.Process(session._connection.get_server_pid())
    before, mine = _seconds(server), 0.0
    began = time.perf_counter()
    for tick in range(RATE_SECONDS * 10):
        await connection.execute(ROWS, RATE // 10)
        if tick % 10 == 9:
            cpu = time.process_time()
            while await job.turn(session) is not None:
                pass
            mine += time.process_time() - cpu
        await asyncio.sleep(max(0.0, began + (tick + 1) / 10 - time.perf_counter()))
    seconds = time.perf_counter() - began
    used = _seconds(server) - before + mine
    await session.close()
    await connection.close()
    rate = round(RATE * RATE_SECONDS / seconds)
    return {"per_second": rate, "core_share": round(used / seconds, 4), "cpu_seconds": round(used, 2)}


async def _first(world: World) -> dict[str, Any]:
    await world.execute("create database counted template filled strategy file_copy")
    await world.execute(MEMBERSHIPS % MANY, "counted")
    await world.execute("vacuum analyze memberships", "counted")
    await world.execute("checkpoint")
    session = Database(world.settings("counted")).session("first", statement_seconds_max=COUNT_SECONDS_MAX)
    began = time.perf_counter()
    await session.fetch("tally_begin")
    seconds = time.perf_counter() - began
    await session.close()
    found = await world.value("select sum(members) from segment_counts", "counted")
    await world.execute("drop database counted with (force)")
    return {"memberships": found, "seconds": round(seconds, 2)}


def _seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
