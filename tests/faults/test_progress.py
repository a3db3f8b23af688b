"""Nothing stands still: whatever the number of workers, lanes and partitions, each command has its outcome in time.

The witness knows what was sent and when. Its limits are far above what a command takes, and below for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from tests.conftest import make_settings
from tests.services import Provided
from tests.support.audit import audit
from tests.support.line import Line, line
from tests.support.load import Load
from tests.support.witness import Witness
from tests.support.workers import Worker, workers
from worker.kafka import topics as kafka_topics
from worker.settings import Settings

PAUSE_SECONDS = 0.25
"""Between bursts of some fifty commands, so 200 a second."""
QUIET_SECONDS_MAX = 15.0
"""Longest wait of a command while no worker comes or goes, on a machine that does other things, too."""
START_SECONDS_MAX = 20.0
"""Within this time after the dead members' session has ended everything is back."""
SOAK_MINUTES = 30


@contextlib.asynccontextmanager
async def witnessed(outside: Line, seed: int) -> AsyncIterator[tuple[Load, Witness]]:
    """A steady load during the context."""
    load = Load(outside, seed)
    await load.populate()
    stop = asyncio.Event()
    sending = asyncio.create_task(load.run(stop, bursts_max=100_000, pause_seconds=PAUSE_SECONDS))
    try:
        yield load, Witness(outside, load)
    finally:
        stop.set()
        await sending


async def well(running: Sequence[Worker]) -> None:
    """All of them say that they get on."""
    for worker in running:
        assert await worker.get("/livez") == (200, "ok\n"), worker.log()


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("seed", "seconds"),
    [(1, 8.0), *(pytest.param(seed, 40.0, marks=pytest.mark.slow) for seed in range(2, 14))],
)
async def test_any_number_of_workers_lanes_and_partitions(
    services: Provided, database_url: str, tmp_path: Path, seed: int, seconds: float
) -> None:
    chance = random.Random(seed)
    count, lanes, partitions = (3, 2, 12) if seed == 1 else (chance.randint(1, 4) for _ in range(3))
    settings = make_settings(
        services.kafka_bootstrap_servers, database_url, topic_partitions=partitions, apply_connections=lanes
    )
    await kafka_topics.ensure(settings)
    async with workers(settings, count, tmp_path) as all_of_them, line(settings) as outside:
        for worker in all_of_them:
            await worker.start()
        async with witnessed(outside, seed) as (load, witness):
            await witness.watch(seconds, wait_seconds_max=QUIET_SECONDS_MAX)
        await audit(outside, settings, load.sent, load.garbage)
        await well(all_of_them)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("session_seconds", [6, pytest.param(30, marks=pytest.mark.slow)])
async def test_all_are_back_within_the_session_after_all_were_killed(
    settings: Settings, topics: list[str], tmp_path: Path, session_seconds: int
) -> None:
    """The group waits for the dead members; nothing of ours may give up before, or each try leaves one more of them."""
    settings = settings.model_copy(update={"session_seconds_max": session_seconds, "kafka_seconds_max": 5.0})
    async with workers(settings, 3, tmp_path) as all_of_them, line(settings) as outside:
        for worker in all_of_them:
            await worker.start()
        async with witnessed(outside, 5) as (load, witness):
            await witness.caught_up(wait_seconds_max=QUIET_SECONDS_MAX)
            for worker in all_of_them:
                await worker.kill()
            for worker in all_of_them:
                await worker.start()
            await witness.caught_up(wait_seconds_max=session_seconds + START_SECONDS_MAX)
        assert all(worker.running for worker in all_of_them)
        await audit(outside, settings, load.sent, load.garbage)


@pytest.mark.slow
@pytest.mark.timeout(SOAK_MINUTES * 60 + 900)
@pytest.mark.parametrize(("count", "lanes"), [(3, 2), (1, 1)])
async def test_a_long_time_of_joins_leaves_and_kills(
    services: Provided, database_url: str, tmp_path: Path, count: int, lanes: int
) -> None:
    """Three workers with the defaults, or one with one lane, at twelve partitions, and one more that comes and goes."""
    settings = make_settings(
        services.kafka_bootstrap_servers,
        database_url,
        topic_partitions=12,
        apply_connections=lanes,
        log_level="info",
    )
    await kafka_topics.ensure(settings)
    chance = random.Random(lanes)
    # who is killed while it joins is a member until a session after that rebalance, and has partitions
    back = 2 * settings.session_seconds_max + START_SECONDS_MAX
    async with workers(settings, count + 1, tmp_path) as all_of_them, line(settings) as outside:
        for worker in all_of_them[:count]:
            await worker.start()
        async with witnessed(outside, 100 + lanes) as (load, witness):
            loop = asyncio.get_running_loop()
            until = loop.time() + SOAK_MINUTES * 60
            while loop.time() < until:
                await _fault(chance.choice(["join or leave", "kill one", "kill all", "none"]), chance, all_of_them)
                await witness.caught_up(wait_seconds_max=back)
                await witness.watch(chance.uniform(0, 30), wait_seconds_max=back)
                await well([worker for worker in all_of_them if worker.running])
        print(f"longest wait {witness.longest_seconds:.1f} s of {len(load.sent):,} commands")
        await audit(outside, settings, load.sent, load.garbage)


async def _fault(kind: str, chance: random.Random, all_of_them: Sequence[Worker]) -> None:
    """Something that happens in production."""
    extra = all_of_them[-1]
    match kind:
        case "join or leave":
            if extra.running:
                assert await extra.stop() == 0, extra.log()
            else:
                await extra.start()
                await extra.ready()  # its pages are up
        case "kill one":
            victim = chance.choice([worker for worker in all_of_them if worker.running])
            await victim.kill()
            await victim.start()
        case "kill all":
            victims = [worker for worker in all_of_them if worker.running]
            for worker in victims:
                await worker.kill()
            for worker in victims:
                await worker.start()
        case _:
            pass
