"""A million user ids from a file: read, staged, applied, their events read; beside a rollout and a plain statement."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from operator import itemgetter
from pathlib import Path
from typing import Any

import asyncpg

from benchmarks.background import measured
from benchmarks.usage import rss_mib
from benchmarks.world import USERS, World, worker
from worker.settings import Settings

CHANGED = USERS // 10
"""So many leave by the list that replaces all, and so many come."""
SAMPLE_SECONDS = 0.5
KINDS = {"import": 0, "rollout": 100}
"""What is compared, and the percent of it."""
TURNS = 3
MEMBERS = f"""
insert into users (user_id, registered_at)
select 'user-' || n, now() from generate_series({USERS}, {USERS + CHANGED - 1}) n;
insert into memberships (user_key, segment_key, included, origin, since)
select n, 1, true, 'command', now() from generate_series(1, {USERS}) n
"""
PLAIN = """
with done as (
    insert into memberships (user_key, segment_key, included, origin, since)
    select user_key, 1, true, 'command', now() from listed join users using (user_id) order by user_key
    on conflict (user_key, segment_key) do update set included = true, origin = 'command'
    returning user_key
), head as (
    update journal_head set sequence = sequence + (select count(*) from done) returning sequence
)
insert into journal (sequence, time, type, reason, user_id, entered)
select h.sequence - (select count(*) from done) + row_number() over (), now(),
    'membership.changed', 'import', u.user_id, array[1]
from head h, done d join users u using (user_key)
"""
MOMENTS = """
select extract(epoch from committed_at - began_at)::float8 as staged,
    extract(epoch from ended_at - committed_at)::float8 as applied
from imports
"""


async def lists(world: World, say: Callable[[str], None]) -> dict[str, Any]:
    """The import by its job alone, by one statement, and by the command line; a rollout in the same run."""
    results: dict[str, Any] = {}
    for kind, percent in KINDS.items():
        for how in ("alone", "one_statement"):
            say(f"{kind}: {how}")
            results[f"{kind}, {how}"] = await measured(world, kind, percent, how)
    results |= await _turns(world, say)
    say("COPY and one statement")
    results["COPY and one statement"] = await _plain(world)
    say("command line")
    file = _file(world.folder / "all.csv", 0, USERS)
    results["command line, add"] = await _command_line(world, file, "add", USERS)
    say("command line, replace")
    file = _file(world.folder / "changed.csv", CHANGED, USERS + CHANGED)
    results["command line, replace"] = await _command_line(world, file, "replace", 2 * CHANGED)
    return results


async def _turns(world: World, say: Callable[[str], None]) -> dict[str, Any]:
    """Both with their events, in turns that begin with the other one each time; each one's median.

    A first one does not count: Kafka takes twice its CPU time for the first million events of its life.
    """
    say("rollout: with_events, to warm up")
    await measured(world, "rollout", KINDS["rollout"], "with_events")
    runs: dict[str, list[dict[str, Any]]] = {kind: [] for kind in KINDS}
    for turn in range(TURNS):
        for kind in list(KINDS)[:: -1 if turn % 2 else 1]:
            say(f"{kind}: with_events, turn {turn + 1} of {TURNS}")
            runs[kind].append(await measured(world, kind, KINDS[kind], "with_events"))
    found = {kind: sorted(of, key=itemgetter("per_second")) for kind, of in runs.items()}
    return {f"{kind}, with_events": of[TURNS // 2] | {"turns": runs[kind]} for kind, of in found.items()}


def _file(path: Path, first: int, end: int) -> Path:
    with path.open("w", encoding="utf-8") as file:
        file.write("user_id,since\n")
        file.writelines(f"user-{number},2026-01-01\n" for number in range(first, end))
    return path


async def _plain(world: World) -> dict[str, Any]:
    """The ids by COPY into a table of their own, and memberships and journal rows by one statement."""
    file = _file(world.folder / "plain.csv", 0, USERS)
    async with world.deployment() as settings:
        connection = await asyncpg.connect(settings.database_url.get_secret_value())
        began = time.perf_counter()
        await connection.execute("create temporary table listed (user_id text, since date)")
        await connection.copy_to_table("listed", source=file, format="csv", header=True)
        status = await connection.execute(PLAIN, timeout=600)
        seconds = time.perf_counter() - began
        await connection.close()
    return _rate(int(status.rpartition(" ")[2]), seconds)


async def _command_line(world: World, file: Path, mode: str, events: int) -> dict[str, Any]:
    """`segmentation import`, beside a worker and a subscriber; until the last event is read."""
    async with world.deployment() as settings, worker(world, settings) as process:
        database = settings.database_url.get_secret_value().rpartition("/")[2]
        if mode == "replace":
            await world.execute(MEMBERS, database)
        await world.execute("vacuum analyze", database)
        await world.execute("checkpoint", database)
        reader = await world.process("reader", ["-m", "benchmarks.reader", str(events)], settings)
        words = ["-m", "worker", "import", "segment-0", str(file), "--mode", mode, "--wait", "--json"]
        began = time.time()
        sender = await world.process("import", words, settings)
        memory: dict[str, list[float]] = {"worker": [], "command_line": []}
        while not reader.exit.done():
            memory["worker"].append(rss_mib(process.pid))
            if not sender.exit.done():
                memory["command_line"].append(rss_mib(sender.pid))
            await asyncio.wait({reader.exit}, timeout=SAMPLE_SECONDS)
        await sender.exit
        read = json.loads(reader.tail())
        moments = await _moments(settings)
    rows = USERS if mode == "replace" else events
    return (
        _rate(rows, read["last"] - began)
        | moments
        | {"events": events}
        | {f"{name}_mib": _flatness(samples) for name, samples in memory.items()}
    )


async def _moments(settings: Settings) -> dict[str, float]:
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    row = await connection.fetchrow(MOMENTS)
    await connection.close()
    assert row is not None
    return {f"{name}_seconds": round(row[name], 2) for name in ("staged", "applied")}


def _flatness(samples: list[float]) -> dict[str, float]:
    """Where it was after a quarter of the time, and at its highest."""
    return {"quarter": round(samples[len(samples) // 4], 1), "peak": round(max(samples), 1)}


def _rate(done: int, seconds: float) -> dict[str, Any]:
    return {"ids": done, "seconds": round(seconds, 2), "per_second": round(done / seconds)}
