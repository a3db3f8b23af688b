"""Locks: keys that differ by schema, positions in their order, and who waits for whom."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import pytest

from tests.conftest import beside, make_settings
from tests.services import Provided
from tests.support.line import line, working
from worker.kafka import topics
from worker.leadership import election
from worker.observability.progress import Progress
from worker.postgres import locks, migrations
from worker.postgres.locks import Role
from worker.postgres.session import Database, Session
from worker.settings import Settings

SECONDS_MAX = 30
WAITING = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"


@pytest.fixture
async def neighbours(services: Provided) -> AsyncIterator[list[Settings]]:
    """Two deployments in two schemas of one database; each has a role whose search path is its own schema."""
    name = f"shared_{uuid4().hex[:12]}"
    server = await asyncpg.connect(services.database_url)
    await server.execute(f"create database {name}")
    url = beside(services.database_url, name)
    found = []
    owner = await asyncpg.connect(url)
    for role in (f"{name}_a", f"{name}_b"):
        await owner.execute(f"create role {role} login password 'secret'")
        await owner.execute(f"create schema {role} authorization {role}")
        await owner.execute(f"alter role {role} set search_path = {role}")
        host = urlsplit(url).netloc.rpartition("@")[2]
        own = urlunsplit(urlsplit(url)._replace(netloc=f"{role}:secret@{host}"))
        found.append(make_settings(services.kafka_bootstrap_servers, own, topic_partitions=1))
    await owner.close()
    yield found
    await server.execute(f"drop database {name} with (force)")
    for role in (f"{name}_a", f"{name}_b"):
        await server.execute(f"drop role {role}")
    await server.close()


async def test_two_deployments_in_two_schemas_of_one_database(neighbours: list[Settings]) -> None:
    """Both publish: neither waits for the other's leader."""
    await asyncio.gather(*map(migrations.upgrade, neighbours))
    await asyncio.gather(*map(topics.ensure, neighbours))
    async with AsyncExitStack() as stack:
        lines = [await stack.enter_async_context(line(settings)) for settings in neighbours]
        for settings in neighbours:
            await stack.enter_async_context(working(settings))
        for outside in lines:
            assert (await outside.ask("segment.create", {"segment": "s"})).type == "segment.created"
            said = await outside.ask("user.register", {"user_id": outside.settings.topic_prefix})
            assert said.event["sequence"] == "2"
    keys = [await _key(settings) for settings in neighbours]
    assert len(set(keys)) == 2


async def _key(settings: Settings) -> int:
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    try:
        return int(await connection.fetchval("select lock_key($1)", locks.STRUCTURE))
    finally:
        await connection.close()


async def test_in_the_schema_public_keys_are_those_of_the_versions_before(settings: Settings) -> None:
    """Workers of both versions run side by side during an upgrade."""
    assert await _key(settings) == locks.STRUCTURE == 7_361_002
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    assert await connection.fetchval("select role_space()") == 7361
    await connection.close()


@pytest.mark.parametrize("name", ["positions_claim", "positions_acquire"])
async def test_positions_are_locked_in_their_order(settings: Settings, name: str) -> None:
    """Whatever order they are asked for in: who waits for the first has not locked the second."""
    session, sql = Database(settings).session("test"), await asyncpg.connect(settings.database_url.get_secret_value())
    await sql.execute("insert into positions (topic, partition, next_offset) values ('t', 2, 0), ('t', 1, 0)")
    arguments: tuple[Any, ...] = (["t", "t"], [2, 1], [None, None])
    if name == "positions_claim":
        arguments = (["t", "t"], [2, 1], [0, 0], [0, 0], [9, 9], None)
    async with sql.transaction():
        await sql.execute("select from positions where partition = 1 for update")
        waiting = asyncio.create_task(session.fetch(name, *arguments))
        async with asyncio.timeout(SECONDS_MAX):
            while not await sql.fetchval(WAITING):
                assert not waiting.done()
                await sql.execute("select pg_stat_clear_snapshot()")
        await sql.execute("select from positions where partition = 2 for update nowait")
    assert len(await waiting) == 2
    await session.close()
    await sql.close()


async def test_who_waits_for_a_leader_says_who_leads(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(election, "WAITING_SECONDS", 0.0)
    said: list[dict[str, Any]] = []
    follower = Follower(Database(settings), Progress(60))

    def info(_: str, **others: Any) -> None:
        said.append(others)
        follower.stopping.set()

    monkeypatch.setattr(election.log, "info", info, raising=False)
    leader = await asyncpg.connect(
        settings.database_url.get_secret_value(), server_settings={"application_name": "somebody's script"}
    )
    assert await leader.fetchval("select pg_try_advisory_lock(role_space(), 1)")
    async with asyncio.timeout(SECONDS_MAX):
        await follower.run()
    user, pid = await leader.fetchval("select current_user"), leader.get_server_pid()
    assert said[0]["holder"] == f"backend {pid} (somebody's script, user {user})"
    await leader.close()


class Follower(election.Elected):
    """Never leads."""

    name, role = "relay", Role.RELAY

    async def lead(self, session: Session) -> None:
        """Never comes to it."""
        raise AssertionError
