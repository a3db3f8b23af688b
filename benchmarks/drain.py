"""How fast a backlog goes through: from the worker's first record to the last event that a subscriber has read."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from benchmarks.usage import cpu, rss_mib
from benchmarks.world import World, preload, ready, stop
from worker.local.guarded import Process
from worker.settings import Settings

SAMPLE_SECONDS = 1.0


WORKER = ("-m", "worker", "run")


async def drain(
    world: World, settings: Settings, commands: int, *, verify: bool, arguments: Sequence[str] = WORKER
) -> dict[str, Any]:
    """Drain what was preloaded into the settings' topic; commands/s, CPU µs a command, memory samples."""
    reader = await world.process("reader", ["-m", "benchmarks.reader", str(commands)], settings)
    process = await world.process("worker", list(arguments), settings)
    try:
        await ready(settings, process)
        began, before = time.time(), cpu(world.services, process.pid)
        memory = await _watch(process, reader)
        after = cpu(world.services, process.pid)
        read = json.loads(reader.tail())
    finally:
        await stop(process)
    seconds = read["last"] - began
    database = settings.database_url.get_secret_value().rpartition("/")[2]
    result = {
        "commands": commands,
        "seconds": round(seconds, 2),
        "commands_per_second": round(commands / seconds),
        "cpu_us_per_command": after.since(before, commands),
        "reader_cpu_us_per_event": round(read["cpu"] / commands * 1e6, 1),
        "rss_mib": memory,
        "journaled": await world.value("select sequence from journal_head", database),
    }
    assert result["journaled"] == commands, result
    if verify:
        result["verified"] = await _verify(world, settings, commands)
    return result


async def preloaded(
    world: World,
    commands: int,
    seed: int,
    arguments: Sequence[str] = WORKER,
    *,
    before: Callable[[Settings], Awaitable[None]] | None = None,
    **others: Any,
) -> dict[str, Any]:
    """A deployment of its own, preloaded, warmed by nothing but what is done `before`, drained once."""
    async with world.deployment(**others) as settings:
        if before is not None:
            await before(settings)
        await preload(settings, commands, seed)
        return await drain(world, settings, commands, verify=True, arguments=arguments)


async def _watch(process: Process, reader: Process) -> list[float]:
    """Memory once a second until the reader has all."""
    samples = []
    while not reader.exit.done():
        if process.exit.done():
            raise RuntimeError(process.tail())
        samples.append(round(rss_mib(process.pid), 1))
        await asyncio.wait({reader.exit}, timeout=SAMPLE_SECONDS)
    return samples


async def _verify(world: World, settings: Settings, commands: int) -> bool:
    """Read all events again: each command has caused exactly one."""
    reader = await world.process("reader", ["-m", "benchmarks.reader", str(commands), "verify"], settings)
    await reader.exit
    read = json.loads(reader.tail())
    assert read["count"] == read["causes"] == commands, read
    return True
