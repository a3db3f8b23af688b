"""What is too much for one statement goes through in parts; what is too slow even alone is rejected."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from tests.support.events import rows
from tests.support.line import Line, line, working
from worker.errors import Unavailable
from worker.line import apply, trials
from worker.line.handlers import users as handler
from worker.observability import metrics
from worker.postgres import connect
from worker.settings import Settings

PERCENTS, USERS = 5, 40
LARGEST = "select max(n) as n from (select count(*) as n from {table} group by xmin::text) transactions"
SLOW = """
create function dawdle() returns trigger language plpgsql as $$
begin
    perform pg_sleep(case when new.user_id = 'slow' then 2 else 0.05 end);
    return new;
end $$;
create trigger dawdle before insert on users for each row execute function dawdle()
"""


async def test_many_users_and_many_percents(
    settings: Settings, topics: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Registrations meet every percent: a transaction takes as many as are bounded, in order."""
    monkeypatch.setattr(handler, "PAIRS_MAX", 10 * PERCENTS)
    async with line(settings) as outside:
        percents = [
            await outside.send("segment.create", {"segment": f"s{n}", "percent": 100}, partition=0)
            for n in range(PERCENTS)
        ]
        async with working(settings):
            for command in percents:
                await outside.outcome(command)
        sent = await _register(outside, [f"u{n}" for n in range(USERS)])
        async with working(settings):
            outcomes = [await outside.outcome(command) for command in sent]
    assert [len(one.data["entered"]) for one in outcomes] == [PERCENTS] * USERS
    sequences = [int(one.event["sequence"]) for one in outcomes]
    assert sequences == sorted(sequences)
    largest = await rows(settings, LARGEST.format(table="users"))
    assert largest[0]["n"] <= 10


async def test_many_segments_in_many_commands(
    settings: Settings, topics: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apply, "SEGMENTS_MAX", 12)
    segments = [f"s{n}" for n in range(5)]
    async with line(settings) as outside:
        async with working(settings):
            for segment in segments:
                await outside.ask("segment.create", {"segment": segment})
        await _register(outside, [f"u{n}" for n in range(20)])
        sent = [
            await outside.send("membership.change", {"user_id": f"u{n}", "add": segments}, partition=0)
            for n in range(20)
        ]
        async with working(settings):
            outcomes = [await outside.outcome(command) for command in sent]
    assert [len(one.data["entered"]) for one in outcomes] == [len(segments)] * 20
    largest = await rows(
        settings, "select max(n) as n from (select count(*) as n from memberships group by xmin::text) x"
    )
    assert largest[0]["n"] == 10


async def test_what_is_too_slow_is_halved(settings: Settings, topics: list[str]) -> None:
    """Together they take longer than a statement may; the one that does so by itself fails alone."""
    settings = settings.model_copy(update={"statement_seconds_max": 0.5})
    async with _administering(settings) as server, line(settings) as outside:
        await server.execute(SLOW)
        names = [*(f"a{n}" for n in range(10)), "slow", *(f"b{n}" for n in range(4))]
        sent = await _register(outside, names)
        async with working(settings):
            outcomes = [await outside.outcome(command) for command in sent]
    failed = [name for name, one in zip(names, outcomes, strict=True) if one.type == "command.rejected"]
    assert failed == ["slow"]
    rejection = outcomes[names.index("slow")].data
    assert rejection["code"] == "failed"
    assert rejection["message"] == "The database refused this command: a statement took longer than its limit"


async def test_locks_are_no_slowness(settings: Settings, topics: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """However long another session holds what one command needs, and though all others go through: it waits."""
    monkeypatch.setitem(connect.SESSION_SETTINGS, "lock_timeout", "150ms")
    monkeypatch.setattr(trials, "LOCK_SECONDS_MIN", 0.1)
    monkeypatch.setattr(trials, "PAUSE_SECONDS_MAX", 0.01)
    tries = metrics.RETRIES.labels("apply")
    async with _administering(settings) as server, line(settings) as outside, working(settings):
        await outside.ask("user.register", {"user_id": "held"})
        async with server.transaction():
            await server.execute("select from users where user_id = 'held' for update")
            before = tries._value.get()
            command = await outside.send("user.forget", {"user_id": "held"})
            async with asyncio.timeout(60):
                while tries._value.get() < before + trials.TRIES_MAX[Unavailable].alone + 2:
                    await asyncio.sleep(0.01)
        assert (await outside.outcome(command)).type == "membership.changed"


async def _register(outside: Line, users: list[str]) -> list[str]:
    return [await outside.send("user.register", {"user_id": user}, partition=0) for user in users]


@asynccontextmanager
async def _administering(settings: Settings) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    try:
        yield connection
    finally:
        await connection.close()
