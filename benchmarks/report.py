"""A month of ten million rows as a report: the worker, beside `psql`'s copy of the same rows and the usual loop."""

from __future__ import annotations

import asyncio
import csv
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg

from benchmarks.usage import rss_mib
from benchmarks.world import World, worker
from schemas.topics import Topic
from tests.support.line import line
from worker.local.guarded import Command
from worker.local.postgres import programs
from worker.postgres.connect import SESSION_SETTINGS
from worker.postgres.statements import statement
from worker.reports.months import Month
from worker.settings import Settings

MONTH = Month(2026, 9)
ROWS = 10_000_000
LOOP_ROWS = 500_000
"""The loop does so many: it is that much slower."""
SAMPLE_SECONDS = 0.05
REPORT_SECONDS_MAX = 900.0
# numbered up to 0, so that the relay has nothing to publish
FILL = f"""
select journal_partition_make('{MONTH.first_day}');
insert into journal (
    sequence, time, type, reason, user_id, entered, expires_at, command_id, command_source
)
select n - {ROWS}, '{MONTH.begins}'::timestamptz + (n - 1) * interval '30 days' / {ROWS},
    'membership.changed', 'command', 'user-' || n % 1000000, array[1 + n % 1000],
    case when n % 2 = 0 then array['2027-01-01Z'::timestamptz] end, gen_random_uuid()::text, '/shop/checkout'
from generate_series(1, {ROWS}) n;
update segments set created_at = '{MONTH.begins}';
update journal_head set time = '{MONTH.ends}';
insert into reports (month, published_at)
select m, now() from generate_series(date '{MONTH.first_day}', now(), interval '1 month') m
"""


async def report(world: World, rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Rows/s of each, in turn, and the worker's memory at its highest."""
    say(f"a month of {ROWS:,} rows")
    await world.execute("create database reported template filled")
    await world.execute(FILL, "reported")
    await world.execute("vacuum analyze", "reported")
    results: dict[str, list[dict[str, Any]]] = {"worker": [], "psql": [], "loop": []}
    for number in range(rounds):
        say(f"round {number + 1} of {rounds}: worker, psql, the usual loop")
        async with world.deployment("reported", report_storage=f"directory:{world.folder}/reports") as settings:
            results["worker"].append(await _worker(world, settings))
            results["psql"].append(await _psql(world, settings))
            results["loop"].append(await _loop(settings, world.folder / "loop.csv"))
    return results


async def _worker(world: World, settings: Settings) -> dict[str, Any]:
    """From the attempt's begin to its end, sums and page included; the file is compressed on the way."""
    async with worker(world, settings) as process, line(settings) as outside:
        idle = rss_mib(process.pid)
        await outside.send("report.request", {"year": MONTH.year, "month": MONTH.month})
        name = outside.topic(Topic.REPORT_EVENTS)
        waiting = asyncio.create_task(
            outside.until(lambda said: any(one.topic == name for one in said), REPORT_SECONDS_MAX)
        )
        peak = idle
        while not waiting.done():
            peak = max(peak, rss_mib(process.pid))
            await asyncio.sleep(SAMPLE_SECONDS)
        (event,) = [one for one in await waiting if one.topic == name]
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    seconds = await connection.fetchval("select extract(epoch from ended_at - began_at)::float from report_attempts")
    await connection.close()
    if event.data.get("rows") != ROWS:
        raise RuntimeError(f"not the report that was asked for: {event.data}")
    rate = _rate(ROWS, seconds)
    return rate | {"bytes": event.data["bytes"], "idle_mib": round(idle, 1), "peak_mib": round(peak, 1)}


async def _psql(world: World, settings: Settings) -> dict[str, Any]:
    r"""`\copy` of the same query to a file, uncompressed, on the same plan."""
    query = " ".join(text for text in statement("report_rows").splitlines() if not text.startswith("--"))
    query = query.replace("$1", f"'{MONTH.begins}'").replace("$2", f"'{MONTH.ends}'")
    target = world.folder / "psql.csv"
    copy = rf"\copy ({query}) to '{target}' with (format csv, header, delimiter ';')"
    plan = "set enable_hashjoin = off; set enable_mergejoin = off; set enable_seqscan = off; set timezone = 'UTC'"
    arguments = [str(programs() / "psql"), "-qX", settings.database_url.get_secret_value(), "-c", plan, "-c", copy]
    log = world.folder / "psql.log"
    began = time.perf_counter()
    process = await world.guard.start(Command("psql", arguments, log, Path.cwd(), signal.SIGKILL))
    code = await process.exit
    seconds = time.perf_counter() - began
    if code:
        raise RuntimeError(f"psql failed: {process.tail()}")
    size = target.stat().st_size
    target.unlink()
    return _rate(ROWS, seconds) | {"bytes": size}


async def _loop(settings: Settings, target: Path) -> dict[str, Any]:
    """As it is usually written: a cursor, and a line at a time by Python's csv."""
    connection = await asyncpg.connect(settings.database_url.get_secret_value(), server_settings=SESSION_SETTINGS)
    began, done = time.perf_counter(), 0
    with target.open("w", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        async with connection.transaction():
            await connection.fetch(statement("report_plan"))
            rows = connection.cursor(statement("report_rows"), MONTH.begins, MONTH.ends, prefetch=1000)
            async for row in rows:
                writer.writerow(row)
                done += 1
                if done == LOOP_ROWS:
                    break
    seconds = time.perf_counter() - began
    await connection.close()
    target.unlink()
    return _rate(done, seconds)


def _rate(rows: int, seconds: float) -> dict[str, Any]:
    at = datetime.now(UTC).isoformat(timespec="seconds")
    return {"at": at, "rows": rows, "seconds": round(seconds, 2), "per_second": round(rows / seconds)}
