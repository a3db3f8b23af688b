"""One clock, the server's, read after the locks that order it; one that has stepped is not believed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from tests.integration.jobs.meeting import of_user
from tests.model.strategies import Sent
from tests.model.world import World
from worker.cli import doctor
from worker.errors import ClockStepped
from worker.jobs.expiry import Expiry
from worker.line.apply import Applier
from worker.line.mirror import Mirror
from worker.observability import metrics
from worker.postgres import clock, locks
from worker.postgres.clock import server_clock
from worker.postgres.session import Database
from worker.postgres.trust import Trust, local_time
from worker.settings import Settings

LIFE = timedelta(seconds=0.7)
SECONDS_MAX = 20
WAITING = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
HELD = {
    "positions": "select from positions for update",
    "structure": f"select pg_advisory_xact_lock({locks.STRUCTURE})",
    "membership": "select from memberships for update",
    "counter": "select from journal_head for update",
}


@pytest.fixture
async def sql(settings: Settings) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """A connection that holds others up."""
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    yield connection
    await connection.close()


@asynccontextmanager
async def world_of_the_server(settings: Settings) -> AsyncIterator[World]:
    """The worker's middle, for which it is as late as the server says."""
    async with World(settings) as world:
        world.appliers = [Applier(session, settings, clock=server_clock, new_uuid=uuid4) for session in world.sessions]
        yield world


async def apply(world: World, *commands: Sent) -> None:
    await world.deliver([world.received(command)[1] for command in commands], together=True)


@pytest.mark.parametrize("held", HELD)
async def test_what_ends_while_a_batch_waits_has_ended(
    settings: Settings, sql: asyncpg.Connection[asyncpg.Record], held: str
) -> None:
    async with world_of_the_server(settings) as world:
        segment = Sent("1", "segment.create", {"segment": "s"})
        await apply(world, segment, Sent("2", "user.register", {"user_id": "u1"}))
        ends: datetime = await sql.fetchval("select clock_timestamp()") + LIFE
        await apply(world, Sent("3", "membership.change", {"user_id": "u1", "add": [("s", ends)]}))
        async with sql.transaction():
            await sql.execute(HELD[held])
            again = Sent("4", "membership.change", {"user_id": "u1", "add": [("s", None)]})
            waiting = asyncio.create_task(apply(world, again))
            async with asyncio.timeout(SECONDS_MAX):
                while not await sql.fetchval(WAITING):
                    assert not waiting.done()
                    await sql.execute("select pg_stat_clear_snapshot()")
                await sql.execute("select pg_sleep_until($1::timestamptz)", ends)
        await waiting
        assert of_user(await world.events(), "u1")[-2:] == [("expiry", [], ["s"], []), ("command", ["s"], [], [])]
        late = await sql.fetchval("select min(time) from journal where command_id = '4'")
        assert late >= ends


async def test_with_a_clock_that_has_stepped_nothing_is_written(
    settings: Settings, sql: asyncpg.Connection[asyncpg.Record]
) -> None:
    """Not by commands, not by the jobs, which would end what is not over."""
    await sql.execute("insert into users (user_id, registered_at) values ('u', now())")
    await sql.execute(
        "insert into segments (segment, segment_id, salt, created_at, updated_at)"
        " values ('s', gen_random_uuid(), gen_random_uuid(), now(), now())"
    )
    await sql.execute(
        "insert into memberships (user_key, segment_key, since, expires_at, origin, included)"
        " select user_key, segment_key, now(), now() - interval '1 day', 'command', true from users, segments"
    )
    session = Database(settings).session("test")
    session.trust = Trust(3_600, local=lambda: local_time() - timedelta(days=2))
    for attempt in (Expiry(server_clock).turn(session), _structure(session), clock.moment(session, server_clock)):
        with pytest.raises(ClockStepped, match=r"PostgreSQL's clock says .* 2 days ahead of this worker's"):
            await attempt
    assert await sql.fetchval("select count(*) from memberships") == 1
    assert await sql.fetchval("select sequence from journal_head") == 0
    await sql.execute("update journal_head set time = clock_timestamp()")  # another worker has written with it
    assert await Expiry(server_clock).turn(session) == 1
    await session.close()


async def _structure(session: Any) -> None:
    async with session.transaction():
        await locks.structure(session, server_clock)


async def test_clocks_that_differ_are_told(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the doctor, in the metrics, and once in the log."""
    assert [finding.is_good for finding in await doctor._clocks(settings)] == [True]
    monkeypatch.setattr(clock, "local_time", lambda: local_time() - timedelta(seconds=90))
    finding = (await doctor._clocks(settings))[0]
    assert not finding.is_good
    assert "is 90.0 s behind PostgreSQL's" in finding.message
    nothing: Any = None  # what is not asked here
    session = Database(settings).session("test")
    mirror = Mirror(
        settings,
        nothing,
        nothing,
        session,
        clock=server_clock,
        watch=nothing,
        backlog=nothing,
        standstill=nothing,
        lanes_are_well=nothing,
    )
    said: list[str] = []
    monkeypatch.setattr("worker.line.mirror.log.warning", lambda text, **_: said.append(text), raising=False)
    for _ in range(2):
        await mirror._measure_clock()
    assert len(said) == 1
    assert 89 < metrics.CLOCK_DIFFERENCE_SECONDS._value.get() < 91
    await session.close()
