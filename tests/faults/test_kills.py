"""Workers are killed and frozen at random moments under load; after it nothing is lost, doubled or out of order."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.audit import audit
from tests.support.line import Line, line
from tests.support.load import Load
from tests.support.workers import workers
from worker.kafka import clients as kafka
from worker.settings import Settings

SESSION_SECONDS = 6


@pytest.fixture
def fast(settings: Settings) -> Settings:
    """A deployment that notices a dead worker early, with small batches, so that many are in hand."""
    changes = {"session_seconds_max": SESSION_SECONDS, "batch_commands_max": 50, "relay_rows_max": 100}
    return settings.model_copy(update=changes)


@contextlib.asynccontextmanager
async def under_load(line_: Line, seed: int, pause_seconds: float = 0.1) -> AsyncIterator[Load]:
    """A stream of commands during the context; then all of it is audited."""
    load = Load(line_, seed)
    await load.populate()
    stop = asyncio.Event()
    sending = asyncio.create_task(load.run(stop, bursts_max=10_000, pause_seconds=pause_seconds))
    try:
        yield load
    finally:
        stop.set()
        await sending


@pytest.mark.parametrize(
    ("kills", "seed"),
    [(4, 1), pytest.param(24, 2, marks=pytest.mark.slow), pytest.param(40, 3, marks=pytest.mark.slow)],
)
@pytest.mark.timeout(900)
async def test_workers_are_killed(fast: Settings, topics: list[str], tmp_path: Path, kills: int, seed: int) -> None:
    chance = random.Random(seed)
    async with workers(fast, 2, tmp_path) as both, line(fast) as outside:
        for worker in both:
            await worker.start()
        async with under_load(outside, seed) as load:
            for _ in range(kills):
                await _progress(outside, chance.randint(1, 400))
                victim = chance.choice([worker for worker in both if worker.running])
                await victim.kill()
                await victim.start()
        await audit(outside, fast, load.sent, load.garbage)
        for worker in both:
            assert await worker.stop() == 0, worker.log()


@pytest.mark.timeout(300)
async def test_a_frozen_worker_comes_back(fast: Settings, topics: list[str], tmp_path: Path) -> None:
    """It lost its partitions while it slept, with batches in hand: they are fenced."""
    async with workers(fast, 2, tmp_path) as (frozen, other), line(fast) as outside:
        await frozen.start()
        await frozen.ready()
        async with under_load(outside, 4) as load:
            await other.start()
            await _group_has(fast, 2)
            for _ in range(2):
                await _progress(outside, 200)
                frozen.signal(signal.SIGSTOP)
                await _group_has(fast, 1)
                await _progress(outside, 200)
                frozen.signal(signal.SIGCONT)
                await _group_has(fast, 2)
        await audit(outside, fast, load.sent, load.garbage)


async def _progress(outside: Line, more: int) -> None:
    """Wait until so many more events were said."""
    before = len(outside.said)
    await outside.until(lambda said: len(said) >= before + more, seconds=120)


async def _group_has(settings: Settings, members: int) -> None:
    """Wait until Kafka's group has so many members that agree on who has which partitions."""
    async with asyncio.timeout(120), kafka.admin(settings) as client:
        while True:
            (answer,) = await client.describe_consumer_groups([settings.group_id])
            (group,) = answer.to_object()["groups"]
            if (group["state"], len(group["members"])) == ("Stable", members):
                return
            await asyncio.sleep(0.1)
