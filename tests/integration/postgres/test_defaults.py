"""Whatever a provider, a role or a database has as its defaults, the line does the same."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from tests.conftest import make_settings
from tests.services import Provided
from tests.support.events import active, rows
from tests.support.line import line, working
from worker.kafka import topics
from worker.postgres import migrations
from worker.postgres.connect import SESSION_SETTINGS
from worker.postgres.session import Database

HOSTILE = {
    "default_transaction_isolation": "serializable",
    "default_transaction_read_only": "on",
    "default_transaction_deferrable": "on",
    "synchronous_commit": "off",
    "statement_timeout": "1s",
    "transaction_timeout": "1s",
    "lock_timeout": "1ms",
    "idle_session_timeout": "1s",
    "idle_in_transaction_session_timeout": "10ms",
    "timezone": "Asia/Kathmandu",
    "datestyle": "SQL, DMY",
    "intervalstyle": "sql_standard",
    "bytea_output": "escape",
    "extra_float_digits": "-5",
    "standard_conforming_strings": "off",
    "row_security": "off",
    "plan_cache_mode": "force_generic_plan",
    "jit_above_cost": "0",
}


@pytest.fixture
async def hostile(services: Provided, database_url: str, template: str) -> AsyncIterator[str]:
    """A database with all of these as its defaults, and a copy of it before any migration."""
    names = [urlsplit(database_url).path[1:], f"{urlsplit(database_url).path[1:]}_empty"]
    server = await asyncpg.connect(services.database_url)
    await server.execute(f"create database {names[1]}")
    for name in names:
        for setting, value in HOSTILE.items():
            await server.execute(f"alter database {name} set {setting} to {value if ',' in value else repr(value)}")
    yield database_url
    await server.execute(f"drop database {names[1]} with (force)")
    await server.close()


async def test_the_line(services: Provided, hostile: str, tmp_path: Path) -> None:
    settings = make_settings(services.kafka_bootstrap_servers, hostile, report_storage=f"directory:{tmp_path}")
    await topics.ensure(settings)
    async with line(settings) as outside, working(settings):
        await outside.ask("segment.create", {"segment": "beta"})
        await outside.ask("segment.create", {"segment": "all", "percent": 100})
        await outside.ask("user.register", {"user_id": "ada"})
        changed = await outside.ask("membership.change", {"user_id": "ada", "add": ["beta"], "ttl": "P2M"})
        assert changed.type == "membership.changed"
        assert await active(settings, "ada") == ["all", "beta"]
        await outside.ask("membership.change", {"user_id": "ada", "remove": ["beta"]})
        await outside.ask("membership.query", {"user_id": "ada"})
        now = datetime.now(UTC)
        await outside.send("report.request", {"year": now.year, "month": now.month})
        said = await outside.until(lambda said: any(one.type == "report.published" for one in said))
        (report,) = [one for one in said if one.type == "report.published"]
        assert report.data["rows"] == 3
    assert await rows(settings, "select outcome from job_runs where outcome = 'failed'") == []


async def test_the_migrations(hostile: str) -> None:
    settings = make_settings("localhost:1", f"{hostile}_empty")
    assert await migrations.pending(settings) == await migrations.upgrade(settings)


async def test_sessions_have_their_own_settings(hostile: str) -> None:
    """By one statement after connecting; and what takes longer than the defaults allow goes through."""
    session = Database(make_settings("localhost:1", hostile)).session("test")
    await session.open()
    connection = session._connection
    assert connection is not None
    sql = "select current_setting($1)"
    found = {name: await connection.fetchval(sql, name) for name in SESSION_SETTINGS}
    assert found == SESSION_SETTINGS
    await connection.execute("begin; select pg_sleep(1.2); commit")
    await session.close()


async def test_a_stronger_promise_than_ours_stays(services: Provided, database_url: str) -> None:
    name = urlsplit(database_url).path[1:]
    await rows(
        make_settings("localhost:1", database_url), f"alter database {name} set synchronous_commit to remote_apply"
    )
    session = Database(make_settings("localhost:1", database_url)).session("test")
    await session.open()
    assert session._connection is not None
    assert await session._connection.fetchval("show synchronous_commit") == "remote_apply"
    await session.close()
