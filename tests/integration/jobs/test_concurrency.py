"""A job and a command meet over the same user, on connections of their own, in both orders.

The journal's counter is held by a third connection, so that both are in the middle of their transactions at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

import asyncpg
import pytest

from tests.model.compare import replayed
from tests.model.naive import Event
from tests.model.strategies import Sent
from tests.model.world import World
from worker.settings import Settings

SECONDS_MAX = 20
USERS = ("u1", "u2", "u3")


@dataclass
class Meeting:
    """The worker's middle, and a connection that can hold both sides up."""

    world: World
    sql: asyncpg.Connection[asyncpg.Record]

    async def of(self, first: Callable[[], Awaitable[Any]], second: Callable[[], Awaitable[Any]]) -> None:
        """Both begin in this order, are held up before their commits, and are let go."""
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
        waiting = (
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
        )
        async with asyncio.timeout(SECONDS_MAX):
            while await self.sql.fetchval(waiting) < sum(not task.done() for task in tasks):
                await asyncio.sleep(0.01)
                await self.sql.execute("select pg_stat_clear_snapshot()")  # it is kept through a transaction

    async def send(self, *commands: Sent) -> None:
        """Apply commands."""
        await self.world.deliver([self.world.received(command)[1] for command in commands], together=True)

    async def roll_out(self) -> None:
        """All of the rollout."""
        while await self.world.rollout.turn(self.world.looking) is not None:
            pass

    async def members(self) -> dict[str, tuple[bool, str]]:
        """Who has a row for the segment, whether included, and its origin."""
        rows = await self.sql.fetch(
            "select user_id, included, origin from memberships join users using (user_key)"
            " join segments using (segment_key) where segment = 's' and deleted_at is null"
        )
        return {row["user_id"]: (row["included"], row["origin"]) for row in rows}

    async def events(self) -> list[Event]:
        """Everything that was said; its replay must be what the tables hold."""
        events = await self.world.events()
        rows = await self.sql.fetch(
            "select user_id, segment_id::text, expires_at from memberships join users using (user_key)"
            " join segments using (segment_key) where included"
        )
        generation = self.world.reader.generation
        assert replayed(events) == {(row["user_id"], generation(row["segment_id"]), row["expires_at"]) for row in rows}
        return events


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


async def _meet(meeting: Meeting, command: Sent, *, is_job_first: bool) -> list[Event]:
    sides: list[Callable[[], Awaitable[Any]]] = [meeting.roll_out, lambda: meeting.send(command)]
    await meeting.of(*(sides if is_job_first else sides[::-1]))
    await meeting.roll_out()
    return await meeting.events()


both_orders = pytest.mark.parametrize("is_job_first", [True, False])


@both_orders
async def test_removed_stays_out(meeting: Meeting, is_job_first: bool) -> None:
    await _meet(meeting, Sent("x", "membership.change", {"user_id": "u1", "remove": ["s"]}), is_job_first=is_job_first)
    assert await meeting.members() == {"u1": (False, "command"), "u2": (True, "rollout"), "u3": (True, "rollout")}


@both_orders
async def test_added_is_the_commands(meeting: Meeting, is_job_first: bool) -> None:
    command = Sent("x", "membership.change", {"user_id": "u1", "add": [("s", None)]})
    events = await _meet(meeting, command, is_job_first=is_job_first)
    assert (await meeting.members())["u1"] == (True, "command")
    entered = [event for event in events if event["key"] == "u1" and event["data"].get("entered")]
    assert len(entered) == 1


@both_orders
async def test_registered_enters_once(meeting: Meeting, is_job_first: bool) -> None:
    events = await _meet(meeting, Sent("x", "user.register", {"user_id": "new"}), is_job_first=is_job_first)
    assert (await meeting.members())["new"] == (True, "rollout")
    assert [event["data"]["reason"] for event in events if event["key"] == "new"] == ["user_registered"]


@both_orders
async def test_forgotten_is_gone(meeting: Meeting, is_job_first: bool) -> None:
    await _meet(meeting, Sent("x", "user.forget", {"user_id": "u1"}), is_job_first=is_job_first)
    assert set(await meeting.members()) == {"u2", "u3"}
    assert await meeting.sql.fetchval("select count(*) from memberships") == 2


@both_orders
async def test_deleted_has_no_members(meeting: Meeting, is_job_first: bool) -> None:
    await _meet(meeting, Sent("x", "segment.delete", {"segment": "s"}), is_job_first=is_job_first)
    await meeting.world.sweep()
    assert await meeting.sql.fetchval("select count(*) from memberships") == 0
    assert await meeting.sql.fetchval("select count(*) from rollouts") == 0


@both_orders
async def test_a_new_percent_is_the_last_word(meeting: Meeting, is_job_first: bool) -> None:
    command = Sent("x", "segment.update", {"segment": "s", "percent": Decimal(0)})
    await _meet(meeting, command, is_job_first=is_job_first)
    assert await meeting.members() == {}


@both_orders
async def test_what_is_over_goes_on(meeting: Meeting, is_job_first: bool) -> None:
    """Rollout and expiry meet over a membership by command whose time is over: no exit either way."""
    await meeting.send(
        Sent("3", "membership.change", {"user_id": "u1", "add": [("s", meeting.world.now + timedelta(seconds=5))]})
    )
    meeting.world.now += timedelta(seconds=10)
    session = meeting.world.sessions[1]
    sides: list[Callable[[], Awaitable[Any]]] = [meeting.roll_out, lambda: meeting.world.expiry.turn(session)]
    await meeting.of(*(sides if is_job_first else sides[::-1]))
    await meeting.world.expire()
    await meeting.roll_out()
    rows = await meeting.members()
    assert rows["u1"] == (True, "rollout")
    assert await meeting.sql.fetchval("select count(*) from journal where exited is not null") == 0
    events = [event for event in await meeting.events() if event["data"].get("reason") == "expiry"]
    assert [[item["expires_at"] for item in event["data"]["renewed"]] for event in events] == [[None]]
