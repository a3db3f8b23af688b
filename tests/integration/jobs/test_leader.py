"""One process runs the jobs; for a moment two may, and nothing is done twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import asyncpg
import pytest

from tests.integration.jobs.conftest import Bench
from tests.support.line import line
from tests.support.workers import Worker, workers
from worker.errors import ConfigurationError, Hindered, Refused, Unavailable
from worker.jobs.deletion import Deletion
from worker.jobs.expiry import Expiry
from worker.jobs.job import Job
from worker.jobs.leader import UNPUBLISHED_ROWS_MAX, UNPUBLISHED_ROWS_URGENT_MAX, Leader
from worker.jobs.rollout import Rollout
from worker.jobs.run import FAILURE_SECONDS, FAILURE_SECONDS_MAX, pause_seconds
from worker.observability.progress import Progress
from worker.postgres.session import Database, DriverError, Session
from worker.settings import Settings

HAND_OVER_SECONDS_MAX = 10
IDLE_SECONDS_MAX = 30
SECONDS_MAX = 60
USERS, MANY = 20_000, 100_000


class Fake(Job):
    """Does what it is told, turn by turn; the last again and again."""

    name = "fake"
    every_seconds = 0.05
    journals = False

    def __init__(
        self, bench: Bench, *turns: int | Exception | Callable[[Session], Awaitable[int | None]] | None
    ) -> None:
        super().__init__(bench.clock)
        self._turns = list(turns)
        self.taken = 0

    async def turn(self, session: Session) -> int | None:
        """The next one."""
        self.taken += 1
        do = self._turns.pop(0) if len(self._turns) > 1 else self._turns[0]
        match do:
            case Exception():
                raise do
            case int() | None:
                return do
            case _:
                return await do(session)


def leader(bench: Bench, *jobs: Job) -> Leader:
    return Leader(Database(bench.settings), Progress(60), jobs, clock=bench.clock, journaled=lambda: None)


@asynccontextmanager
async def leading(bench: Bench, *jobs: Job) -> AsyncIterator[asyncio.Task[None]]:
    """A process that was elected, until the end of the context."""
    one = leader(bench, *jobs)
    session = Database(bench.settings).session("leader")
    await session.open()
    await session.pin(IDLE_SECONDS_MAX)
    task = asyncio.create_task(one.lead(session))
    try:
        yield task
    finally:
        one.stopping.set()
        await asyncio.wait({task})
        await session.close()


async def until(bench: Bench, condition: str) -> None:
    """Wait until the SQL condition holds; the relay is taken to have published all."""
    async with asyncio.timeout(SECONDS_MAX):
        while not await bench.sql.fetchval(f"select {condition}"):
            await bench.sql.execute("update relay set published_sequence = (select sequence from journal_head)")
            await asyncio.sleep(0.02)


ROLLED_OUT = "not exists (select from rollouts where finished_at is null)"
IDLE = f"""
{ROLLED_OUT} and not exists (select from deletions)
and not exists (select from memberships where expires_at <= now())
"""


async def test_two_leaders_do_no_harm(bench: Bench) -> None:
    """Both work on the same rollouts, expiries and deletions, with no lock between them: each change is once."""
    await bench.users(USERS)
    keys = [await bench.segment(f"s{number}", Decimal(50)) for number in range(3)]
    over, gone = await bench.segment("over"), await bench.segment("gone")
    for key, until_ in ((over, bench.now), (gone, None)):
        await bench.sql.execute(
            "insert into memberships (user_key, segment_key, included, origin, since, expires_at)"
            " select user_key, $1, true, 'command', $2, $3 from users",
            key,
            bench.now,
            until_,
        )
    await bench.session.fetch("segments_delete", ["gone"], bench.now)

    def jobs() -> list[Job]:
        return [Rollout(bench.clock), Expiry(bench.clock), Deletion(bench.clock)]

    async with leading(bench, *jobs()) as one, leading(bench, *jobs()) as other:
        await until(bench, IDLE)
        assert not one.done()
        assert not other.done()
    twice = await bench.sql.fetchval(
        "select count(*) from (select user_id, entered, exited from journal where type = 'membership.changed'"
        " group by 1, 2, 3 having count(*) > 1) x"
    )
    assert twice == 0
    for key in keys:
        entered = await bench.sql.fetchval("select count(*) from journal where entered = array[$1::integer]", key)
        wanted = "select count(*) from users, segments where segment_key = $1 and bucket(salt, user_id) < 5000"
        assert entered == len(await bench.members(key)) == await bench.sql.fetchval(wanted, key)
    for key in (over, gone):
        assert await bench.sql.fetchval("select count(*) from journal where exited = array[$1::integer]", key) == USERS
    ends = await bench.sql.fetch(
        "select segment_key, (detail ->> 'entered')::integer + (detail ->> 'exited')::integer as count"
        " from journal where type = 'segment.populated'"
    )
    assert sorted(row["segment_key"] for row in ends) == [*keys, gone]
    assert {row["segment_key"]: row["count"] for row in ends}[gone] == USERS


FAILURES = [
    Refused("no such luck"),
    Hindered("no disk"),
    ConfigurationError("not the owner of it"),
    DriverError("a page is corrupt"),
    TypeError("nobody foresaw that"),
]


@pytest.mark.parametrize("error", FAILURES, ids=lambda error: type(error).__name__)
async def test_a_failing_job_is_noted_and_stops_no_other(bench: Bench, error: Exception) -> None:
    """Nor does it end the leadership; it is tried again after a growing while."""
    await bench.users(100)
    key = await bench.segment("s", Decimal(100))
    failing = Fake(bench, error)
    async with leading(bench, failing, Rollout(bench.clock)) as task:
        await until(bench, ROLLED_OUT)
        await until(bench, "(select failures >= 2 from job_runs where job = 'fake')")
        assert not task.done()
    assert len(await bench.members(key)) == 100
    row = await bench.sql.fetchrow(
        "select outcome, error, next_at > finished_at as waits from job_runs where job = 'fake'"
    )
    assert row is not None
    told = f"TypeError: {error}" if isinstance(error, TypeError) else str(error)
    assert tuple(row) == ("failed", told, True)
    assert failing.taken <= 3
    assert await bench.sql.fetchval("select outcome from job_runs where job = 'rollout'") == "done"


async def test_one_that_works_again_says_so(bench: Bench) -> None:
    """Though it has nothing to do."""
    async with leading(bench, Fake(bench, Refused("not now"), None)):
        await until(bench, "(select outcome = 'failed' from job_runs)")
        await until(bench, "(select outcome = 'done' and error is null and failures = 0 from job_runs)")


async def test_a_deadlock_is_one_try_lost(bench: Bench) -> None:
    """For real: another session and the job want each other's rows."""
    await bench.users(2)

    async def locked(session: Session) -> int | None:
        async with session.transaction():
            await session.fetch("users_forget", ["user-1"], bench.now)
            held.set()
            await session.fetch("users_forget", ["user-2"], bench.now)
        return 2

    held = asyncio.Event()
    async with bench.sql.transaction():
        await bench.sql.execute("set local deadlock_timeout = '60s'")  # the job is the one to notice it
        await bench.sql.execute("delete from users where user_id = 'user-2'")
        async with leading(bench, Fake(bench, locked, None)) as task:
            await held.wait()
            await bench.sql.execute("delete from users where user_id = 'user-1'")
            other = Database(bench.settings).session("other")
            async with asyncio.timeout(SECONDS_MAX):
                while not [row for row in await other.fetch("jobs_list", bench.now) if row["outcome"] == "done"]:
                    await asyncio.sleep(0.02)
            await other.close()
            assert not task.done()


async def test_a_session_that_is_gone_ends_the_leadership(bench: Bench) -> None:
    """Its lock went with it: another process leads now."""

    async def nothing(session: Session) -> int | None:
        await session.fetch("session_ping")
        return None

    async with leading(bench, Fake(bench, nothing)) as task:
        await until(bench, "exists (select from job_runs where outcome = 'done')")
        await bench.sql.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and application_name = 'segmentation leader'"
        )
        await asyncio.wait({task}, timeout=SECONDS_MAX)
        assert isinstance(task.exception(), Unavailable)


def test_pauses_grow_and_end_growing() -> None:
    assert [pause_seconds(failures) for failures in range(4)] == [FAILURE_SECONDS * 2**n for n in range(4)]
    assert pause_seconds(8) == pause_seconds(1_000_000) == FAILURE_SECONDS_MAX


async def test_jobs_wait_while_the_relay_is_behind(bench: Bench) -> None:
    """Those that journal; others go on."""
    await bench.users(10)
    key = await bench.segment("s", Decimal(100))
    await bench.sql.execute("update journal_head set sequence = $1", UNPUBLISHED_ROWS_MAX + 1)
    other = Fake(bench, 1)
    async with leading(bench, Rollout(bench.clock), other):
        async with asyncio.timeout(SECONDS_MAX):
            while other.taken < 20:
                await asyncio.sleep(0.02)
        assert await bench.members(key) == set()
        await until(bench, ROLLED_OUT)
    assert len(await bench.members(key)) == 10


class Urgent(Fake):
    """As what was promised for an instant."""

    name = "urgent"

    journals = True
    is_urgent = True


async def test_an_urgent_job_does_not_wait_for_what_others_have_journaled(bench: Bench) -> None:
    """Up to a limit of its own."""
    await bench.sql.execute("update journal_head set sequence = $1", UNPUBLISHED_ROWS_MAX + 1)
    urgent, other = Urgent(bench, 1), Fake(bench, 1)
    async with leading(bench, urgent, other), asyncio.timeout(SECONDS_MAX):
        while urgent.taken < 5:
            await asyncio.sleep(0.02)
    await bench.sql.execute("update journal_head set sequence = $1", UNPUBLISHED_ROWS_URGENT_MAX + 1)
    urgent, other = Urgent(bench, 1), Fake(bench, 1)
    async with leading(bench, urgent, other), asyncio.timeout(SECONDS_MAX):
        while other.taken < 5:
            await asyncio.sleep(0.02)
    assert urgent.taken == 0


async def test_hand_over_after_a_kill(settings: Settings, topics: list[str], tmp_path: Path) -> None:
    """In the middle of a rollout, which the next one goes on with: each user is decided once."""
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    await connection.execute(
        "insert into users (user_id, registered_at) select 'user-' || n, now() from generate_series(1, $1::integer) n",
        MANY,
    )
    async with workers(settings, 2, tmp_path) as both, line(settings) as outside:
        for worker in both:
            await worker.start()
            await worker.ready()
        leading_ = await _leader(both)
        await outside.ask("segment.create", {"segment": "s", "percent": 50})
        async with asyncio.timeout(SECONDS_MAX):
            while not await connection.fetchval("select entered > 0 from rollouts"):
                await asyncio.sleep(0.005)
        await leading_.kill()
        assert await connection.fetchval("select finished_at is null from rollouts")
        async with asyncio.timeout(HAND_OVER_SECONDS_MAX):
            await _leader([worker for worker in both if worker is not leading_])
        said = await outside.until(lambda said: any(one.type == "segment.populated" for one in said))
        (populated,) = [one for one in said if one.type == "segment.populated"]
        count = populated.data["entered"]
        said = await outside.until(lambda said: len(said) >= 2 + count)
    entered = [one.data["user_id"] for one in said if one.data.get("reason") == "rollout"]
    inside = await connection.fetch("select user_id from users, segments where bucket(salt, user_id) < 5000")
    members = await connection.fetch("select user_id from memberships join users using (user_key)")
    await connection.close()
    assert count == len(entered) == len(inside)
    assert set(entered) == {row["user_id"] for row in inside} == {row["user_id"] for row in members}


async def _leader(candidates: list[Worker]) -> Worker:
    """The worker that runs the jobs, once there is one."""
    while True:
        for worker in candidates:
            if "segmentation_jobs_lead 1.0" in (await worker.get("/metrics"))[1]:
                return worker
        await asyncio.sleep(0.1)
