"""One process runs the jobs; for a moment two may, and nothing is done twice."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

from tests.integration.jobs.conftest import Bench
from tests.support.workers import Worker, workers
from worker.database import Database, Session
from worker.errors import Refused
from worker.jobs.expiry import Expiry
from worker.jobs.job import Job
from worker.jobs.leader import Leader
from worker.jobs.rollout import Rollout
from worker.progress import Progress
from worker.settings import Settings

HAND_OVER_SECONDS_MAX = 10
SECONDS_MAX = 60
USERS = 20_000


class Failing(Job):
    """A job that the database refuses."""

    name = "failing"
    every_seconds = 0.1
    journals = False

    async def turn(self, session: Session) -> int | None:
        """Fail."""
        raise Refused("no such luck")


def leader(bench: Bench, *jobs: Job) -> Leader:
    return Leader(Database(bench.settings), Progress(60), jobs, clock=bench.clock, journaled=lambda: None)


async def finished(bench: Bench) -> None:
    """Wait until no rollout is under way; the relay is taken to have published all."""
    async with asyncio.timeout(SECONDS_MAX):
        while await bench.sql.fetchval("select count(*) from rollouts where finished_at is null"):
            await bench.sql.execute("update relay set published_sequence = (select sequence from journal_head)")
            await asyncio.sleep(0.02)


async def test_two_leaders_do_no_harm(bench: Bench) -> None:
    """Both work on the same rollouts at once, with no lock between them: each user is decided once."""
    await bench.users(USERS)
    keys = [await bench.segment(f"s{number}", Decimal(50)) for number in range(3)]
    both = [leader(bench, Rollout(bench.clock), Expiry(bench.clock)) for _ in range(2)]
    sessions = [Database(bench.settings).session(f"leader {number}") for number in range(2)]
    tasks = [asyncio.create_task(one.lead(session)) for one, session in zip(both, sessions, strict=True)]
    await finished(bench)
    for one in both:
        one.stopping.set()
    await asyncio.gather(*tasks)
    for session in sessions:
        await session.close()
    twice = await bench.sql.fetchval(
        "select count(*) from (select user_id, entered from journal where reason = 'rollout'"
        " group by 1, 2 having count(*) > 1) x"
    )
    assert twice == 0
    for key in keys:
        entered = await bench.sql.fetchval("select count(*) from journal where entered = array[$1::integer]", key)
        assert (
            entered
            == len(await bench.members(key))
            == await bench.sql.fetchval(
                "select count(*) from users u, segments s where segment_key = $1 and bucket(salt, user_id) < 5000", key
            )
        )
    assert await bench.sql.fetchval("select count(*) from journal where type = 'segment.populated'") == len(keys)


async def test_a_failing_job_is_noted_and_stops_no_other(bench: Bench) -> None:
    await bench.users(100)
    key = await bench.segment("s", Decimal(100))
    one = leader(bench, Failing(bench.clock), Rollout(bench.clock))
    session = Database(bench.settings).session("leader")
    task = asyncio.create_task(one.lead(session))
    await finished(bench)
    one.stopping.set()
    await task
    await session.close()
    assert len(await bench.members(key)) == 100
    row = await bench.sql.fetchrow("select outcome, error, failures from job_runs where job = 'failing'")
    assert row is not None
    assert (row["outcome"], row["error"]) == ("failed", "no such luck")
    assert row["failures"] >= 1
    assert await bench.sql.fetchval("select outcome from job_runs where job = 'rollout'") == "done"


async def test_hand_over_after_a_kill(settings: Settings, topics: list[str], tmp_path: Path) -> None:
    async with workers(settings, 2, tmp_path) as both:
        for worker in both:
            await worker.start()
            await worker.ready()
        leading = await _leader(both)
        await leading.kill()
        others = [worker for worker in both if worker is not leading]
        async with asyncio.timeout(HAND_OVER_SECONDS_MAX):
            await _leader(others)


async def _leader(candidates: list[Worker]) -> Worker:
    """The worker that runs the jobs, once there is one."""
    while True:
        for worker in candidates:
            if "segmentation_jobs_lead 1.0" in (await worker.get("/metrics"))[1]:
                return worker
        await asyncio.sleep(0.1)
