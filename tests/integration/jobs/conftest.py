"""A database with sessions and a clock, for jobs that are run by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import asyncpg
import pytest

from tests.integration.jobs.meeting import DOWN, Meeting, lapse
from tests.model.strategies import Sent
from tests.model.world import World
from worker.jobs.job import Job
from worker.postgres.session import Database, Session
from worker.settings import Settings

START = datetime(2026, 5, 10, 12, tzinfo=UTC)


@dataclass
class Bench:
    """What a test of jobs needs."""

    settings: Settings
    session: Session
    sql: asyncpg.Connection[asyncpg.Record]
    now: datetime = START
    run: list[int] = field(default_factory=list)

    def clock(self) -> datetime:
        """The test's time."""
        return self.now

    def passes(self, **duration: float) -> None:
        """Time goes by."""
        self.now += timedelta(**duration)

    async def all_of(self, job: Job) -> int:
        """Run a job until nothing is left; how much it did."""
        done = 0
        while (more := await job.turn(self.session)) is not None:
            done += more
        return done

    async def users(self, count: int) -> None:
        """Known users `user-1`, …"""
        await self.sql.execute(
            "insert into users (user_id, registered_at) select 'user-' || n, $2 from generate_series(1, $1::integer) n",
            count,
            self.now,
        )

    async def segment(self, name: str, percent: object = None) -> int:
        """A segment's key; with a percent, its rollout begins."""
        key: int = await self.sql.fetchval(
            "insert into segments (segment, segment_id, salt, percent, created_at, updated_at)"
            " values ($1, gen_random_uuid(), gen_random_uuid(), $2, $3, $3) returning segment_key",
            name,
            percent,
            self.now,
        )
        if percent is not None:
            await self.roll_out(key, percent)
        return key

    async def roll_out(self, key: int, percent: object, policy: str = "release") -> None:
        """Set a segment's percent, as the worker does."""
        await self.sql.execute("update segments set percent = $2 where segment_key = $1", key, percent)
        await self.session.fetch("rollouts_begin", [key], [percent], [policy], self.now)

    async def members(self, key: int) -> set[str]:
        """The users that are included."""
        rows = await self.sql.fetch(
            "select user_id from memberships join users using (user_key) where segment_key = $1 and included", key
        )
        return {row["user_id"] for row in rows}

    async def journaled(self, reason: str) -> list[dict[str, Any]]:
        """The journal's rows with that reason, in order."""
        rows = await self.sql.fetch("select * from journal where reason = $1::change_reason order by sequence", reason)
        return [dict(row) for row in rows]


@pytest.fixture
async def bench(settings: Settings) -> AsyncIterator[Bench]:
    """The test's own."""
    session = Database(settings).session("test")
    sql = await asyncpg.connect(settings.database_url.get_secret_value())
    yield Bench(settings, session, sql)
    await session.close()
    await sql.close()


USERS = ("u1", "u2", "u3")


@pytest.fixture
async def meeting(settings: Settings) -> AsyncIterator[Meeting]:
    """Three users and a segment whose rollout of 100 % has yet to begin."""
    sql = await asyncpg.connect(settings.database_url.get_secret_value())
    async with World(settings) as world:
        made = Meeting(world, sql)
        world.rollout._size.rows = world.rollout._size._rows_max = 100
        await made.send(
            Sent("1", "segment.create", {"segment": "s"}),
            *[Sent(user, "user.register", {"user_id": user}) for user in USERS],
        )
        await made.send(Sent("2", "segment.update", {"segment": "s", "percent": Decimal(100)}))
        yield made
    await sql.close()


@pytest.fixture
async def releasing(meeting: Meeting) -> Meeting:
    """All three are in, and are to be released."""
    await meeting.roll_out()
    await meeting.send(DOWN)
    return meeting


@pytest.fixture
async def over(releasing: Meeting) -> Meeting:
    """No rollout; u1 is in by a command, and its time is over."""
    await releasing.roll_out()
    await lapse(releasing)
    return releasing
