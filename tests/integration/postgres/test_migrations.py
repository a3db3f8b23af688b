"""Migrations: from empty, by several at once, again, killed, and on a database of a newer version."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import pytest

from tests.conftest import beside, make_settings
from tests.services import Provided
from tests.support.events import rows
from worker.errors import ConfigurationError, Unavailable
from worker.postgres import locks, migrations
from worker.settings import Settings


@pytest.fixture
async def empty(services: Provided) -> AsyncIterator[Settings]:
    """A database that was just created."""
    name = f"empty_{uuid4().hex[:12]}"
    server = await asyncpg.connect(services.database_url)
    await server.execute(f"create database {name}")
    yield make_settings(services.kafka_bootstrap_servers, beside(services.database_url, name))
    await server.execute(f"drop database {name} with (force)")
    await server.close()


async def test_from_empty_to_the_end(empty: Settings) -> None:
    missing = await migrations.pending(empty)
    assert missing[0] == "0001"
    assert missing == sorted(missing)
    with pytest.raises(ConfigurationError, match=r"lacks the migrations 0001.*`segmentation migrate`"):
        await migrations.check(empty)
    assert await migrations.upgrade(empty) == missing
    assert await migrations.pending(empty) == []
    await migrations.check(empty)


async def test_again_does_nothing(empty: Settings) -> None:
    await migrations.upgrade(empty)
    await rows(empty, "update journal_head set sequence = 7 returning 1")
    assert await migrations.upgrade(empty) == []
    assert await rows(empty, "select sequence from journal_head") == [{"sequence": 7}]


async def test_by_several_at_once(empty: Settings) -> None:
    """One of them applies it all, the others wait and find it done."""
    applied = await asyncio.gather(*(migrations.upgrade(empty) for _ in range(5)))
    assert sorted(map(len, applied))[:-1] == [0, 0, 0, 0]
    assert await migrations.pending(empty) == []


async def test_what_was_killed_leaves_nothing(empty: Settings) -> None:
    """The lock ends with the session, and half a schema is none."""
    url = empty.database_url.get_secret_value()
    blocker = await asyncpg.connect(url)
    await blocker.execute(f"select pg_advisory_lock({locks.MIGRATION})")
    waiting = asyncio.create_task(migrations.upgrade(empty))
    waits = "select pid from pg_locks where locktype = 'advisory' and not granted"
    async with asyncio.timeout(30):
        while not (
            pids := await rows(
                empty, f"{waits} and database = (select oid from pg_database where datname = current_database())"
            )
        ):
            assert not waiting.done()
    await rows(empty, "select pg_terminate_backend($1)", pids[0]["pid"])
    with pytest.raises((ConfigurationError, Unavailable)):
        await waiting
    await blocker.close()
    assert await rows(empty, "select from pg_class where relname = 'users'") == []
    assert await migrations.upgrade(empty)


async def test_a_migration_that_fails_keeps_nothing(empty: Settings) -> None:
    """The schema's first types are created before the one that is there already."""
    await rows(empty, "create table users (mine text)")
    with pytest.raises(ConfigurationError, match=r'nothing of it was kept.*relation "users" already exists'):
        await migrations.upgrade(empty)
    assert await rows(empty, "select from pg_type where typname = 'event_type'") == []
    assert (await migrations.pending(empty))[0] == "0001"


async def test_a_newer_database_is_refused(empty: Settings) -> None:
    await migrations.upgrade(empty)
    await rows(empty, "update alembic_version set version_num = '9999' returning 1")
    for refused in (migrations.pending(empty), migrations.check(empty)):
        with pytest.raises(ConfigurationError, match=r"revision 9999.*newer segmentation"):
            await refused


async def test_an_upgrade_of_a_newer_database_is_refused(empty: Settings) -> None:
    await migrations.upgrade(empty)
    await rows(empty, "update alembic_version set version_num = '9999' returning 1")
    with pytest.raises(ConfigurationError, match=r"revision 9999.*newer segmentation"):
        await migrations.upgrade(empty)


async def test_no_database_is_told(empty: Settings) -> None:
    nowhere = make_settings("localhost:1", "postgresql://postgres@127.0.0.1:1/none")
    with pytest.raises(Unavailable, match=r"127.0.0.1:1: connection refused"):
        await migrations.check(nowhere)
    url = beside(empty.database_url.get_secret_value(), "no_such_database")
    with pytest.raises(ConfigurationError, match="no_such_database"):
        await migrations.check(make_settings("localhost:1", url))
