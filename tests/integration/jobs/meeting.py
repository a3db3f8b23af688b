"""Two sides that meet in the middle of their transactions, in a given order, on connections of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from tests.model.compare import replayed
from tests.model.happened import Event
from tests.model.strategies import Sent
from tests.model.world import World
from worker.jobs.job import Job

SECONDS_MAX = 20
WAITING = """
select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
"""
Side = Callable[[], Awaitable[Any]]
Said = tuple[str, list[str], list[str], list[str]]
LISTS = ("entered", "exited", "renewed")


@dataclass
class Meeting:
    """The worker's middle, and a connection that can hold both sides up."""

    world: World
    sql: asyncpg.Connection[asyncpg.Record]

    async def of(self, first: Side, second: Side) -> None:
        """Both begin in this order, are held up before their commits by the journal's counter, and are let go."""
        async with self.sql.transaction():
            await self.sql.execute("select from journal_head for update")
            one = asyncio.ensure_future(first())
            await self._blocked(one)
            other = asyncio.ensure_future(second())
            await self._blocked(one, other)
        async with asyncio.timeout(SECONDS_MAX):
            await one
            await other

    async def _blocked(self, *tasks: asyncio.Future[Any]) -> None:
        """Wait until all that are not done wait for a lock."""
        async with asyncio.timeout(SECONDS_MAX):
            while await self.sql.fetchval(WAITING) < sum(not task.done() for task in tasks):
                await asyncio.sleep(0.01)
                await self.sql.execute("select pg_stat_clear_snapshot()")  # it is kept through a transaction

    async def send(self, *commands: Sent, lane: int = 0) -> None:
        """Apply commands as one batch."""
        await self.world.deliver([self.world.received(command)[1] for command in commands], together=True, lane=lane)

    async def change(self, user: str, **data: Any) -> None:
        """Apply a membership.change."""
        await self.send(Sent(str(uuid4()), "membership.change", {"user_id": user} | data))

    async def all_of(self, job: Job) -> None:
        """Run a job until nothing is left."""
        while await job.turn(self.world.looking) is not None:
            pass

    async def roll_out(self) -> None:
        """All rollouts."""
        await self.all_of(self.world.rollout)

    def passes(self, seconds: float) -> None:
        """Time goes by."""
        self.world.now += timedelta(seconds=seconds)

    async def members(self) -> dict[str, tuple[bool, str]]:
        """Who has a row for the segment, whether included, and its origin."""
        rows = await self.sql.fetch(
            "select user_id, included, origin from memberships join users using (user_key)"
            " join segments using (segment_key) where segment = 's' and deleted_at is null"
        )
        return {row["user_id"]: (row["included"], row["origin"]) for row in rows}

    async def events(self) -> list[Event]:
        """Everything that was said since the last look; the first look's replay must be what the tables hold."""
        is_first = self.world.sequence == 0
        events = await self.world.events()
        rows = await self.sql.fetch(
            "select user_id, segment_id::text, expires_at from memberships join users using (user_key)"
            " join segments using (segment_key) where included"
        )
        generation = self.world.reader.generation
        if is_first:
            held = {(row["user_id"], generation(row["segment_id"]), row["expires_at"]) for row in rows}
            assert replayed(events) == held
        return events


def of_user(events: list[Event], user: str) -> list[Said]:
    """The user's changes: reason, and the segments entered, exited and renewed."""
    return [
        (event["data"]["reason"], *([item["segment"] for item in event["data"][name]] for name in LISTS))
        for event in events
        if event["type"] == "membership.changed" and event["key"] == user
    ]


DOWN = Sent("down", "segment.update", {"segment": "s", "percent": Decimal(0)})
both_orders = pytest.mark.parametrize("is_job_first", [True, False])


async def meet(meeting: Meeting, job: Side, other: Sent | Side, *, is_job_first: bool) -> list[Event]:
    """The job and the other meet; then every job goes on to its end."""
    side: Side = (lambda: meeting.send(other)) if isinstance(other, Sent) else other
    await (meeting.of(job, side) if is_job_first else meeting.of(side, job))
    await meeting.roll_out()
    await meeting.world.expire()
    await meeting.world.sweep()
    return await meeting.events()


def change(**data: Any) -> Sent:
    """A command about u1's memberships."""
    return Sent("x", "membership.change", {"user_id": "u1"} | data)


def forget() -> Sent:
    """A command that forgets u1."""
    return Sent("x", "user.forget", {"user_id": "u1"})


def delete() -> Sent:
    """A command that deletes the segment."""
    return Sent("x", "segment.delete", {"segment": "s"})


def expiry(meeting: Meeting, session: int = 1) -> Side:
    """A turn over a session of its own."""
    return lambda: meeting.world.expiry.turn(meeting.world.sessions[session])


async def lapse(meeting: Meeting) -> None:
    """A command adds u1 for a year, and two go by."""
    await meeting.change("u1", add=[("s", meeting.world.now.replace(year=2027))])
    meeting.world.now = meeting.world.now.replace(year=2028)
