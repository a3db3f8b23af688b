"""The roles of deploy/roles.sql: the owner migrates, the worker does everything else with exactly its rights."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.conftest import make_settings
from tests.services import Provided
from tests.support.events import rows
from tests.support.line import line, working
from tests.support.roles import Roles, roles
from worker import app
from worker.errors import ConfigurationError, Unavailable
from worker.kafka import topics as kafka_topics
from worker.postgres import migrations, needs
from worker.postgres.session import Database
from worker.settings import Settings

OLD = "2020-01-01"


@pytest.fixture(scope="module")
async def made(services: Provided) -> AsyncIterator[Roles]:
    """Migrated as the owner, in a schema of its own."""
    async with roles(services.database_url) as made:
        await migrations.upgrade(make_settings(services.kafka_bootstrap_servers, made.owner))
        yield made


def of(services: Provided, url: str, **others: object) -> Settings:
    return make_settings(services.kafka_bootstrap_servers, url, **others)


async def test_the_whole_line_runs_with_exactly_these_rights(services: Provided, made: Roles, tmp_path: Path) -> None:
    """Every command, every job, a report, the journal's months; with no more sessions than are said to be needed."""
    storage = f"directory:{tmp_path}/reports"
    settings = of(services, made.worker, report_storage=storage, users="any")
    owner = of(services, made.owner)
    await rows(owner, "select journal_partition_make($1::text::date)", OLD)
    months = "select inhrelid::regclass::text as name from pg_inherits where inhparent = 'journal'::regclass"
    ahead = max(row["name"] for row in await rows(owner, months) if row["name"] != "journal_default")
    await rows(owner, f"drop table {ahead}")
    await made.run(f"alter role {made.name}_worker connection limit {app.sessions_needed(settings)}")
    await kafka_topics.ensure(settings)
    async with line(settings) as outside, working(settings):
        month = datetime.now(UTC)
        for command, data in (
            ("segment.create", {"segment": "a", "percent": 50}),
            ("segment.create", {"segment": "b"}),
            ("user.register", {"user_id": "ada"}),
            ("membership.change", {"user_id": "ada", "add": ["b"], "ttl": "PT1S"}),
            ("membership.change", {"user_id": "eve", "add": ["b"]}),
            ("segment.update", {"segment": "a", "percent": 100}),
            ("user.forget", {"user_id": "eve"}),
            ("segment.delete", {"segment": "b"}),
            ("membership.query", {"user_id": "ada"}),
        ):
            assert (await outside.ask(command, data)).type != "command.rejected"  # type: ignore[arg-type]  # literals
        soon = datetime.now(UTC) + timedelta(seconds=0.5)
        later = await outside.send("segment.create", {"segment": "later"}, effectiveat=soon)
        await outside.until(lambda said: any(one.cause == later and one.type == "segment.created" for one in said))
        await outside.send("report.request", {"year": month.year, "month": month.month})
        kinds = {"report.published", "segment.populated"}
        await outside.until(lambda said: kinds <= {one.type for one in said})
        await _until(lambda: _months_are(owner, months, gone=f"journal_{OLD[:4]}{OLD[5:7]}", there=ahead))
    used = await rows(owner, "select job from job_runs where outcome = 'done'")
    assert {row["job"] for row in used} >= {"retention"}


async def _months_are(settings: Settings, sql: str, *, gone: str, there: str) -> bool:
    names = {row["name"] for row in await rows(settings, sql)}
    return gone not in names and there in names


async def _until(holds: Callable[[], Coroutine[Any, Any, bool]]) -> None:
    async with asyncio.timeout(60):
        while not await holds():
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    "sql",
    [
        "update journal set time = now()",
        "delete from journal",
        "delete from journal_default",
        "update alembic_version set version_num = '0001'",
        "drop table users",
        "truncate inbox",
        "create table mine (id integer)",
        "alter table users add column mine text",
        "create function mine() returns integer language sql return 1",
    ],
)
async def test_the_worker_may_do_no_more(made: Roles, sql: str) -> None:
    worker = await asyncpg.connect(made.worker)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await worker.execute(sql)
    await worker.close()


async def test_only_the_worker_may_run_what_runs_as_the_owner(made: Roles) -> None:
    """And nobody leads it to other tables by a search_path or temporary tables of his own."""
    worker = await asyncpg.connect(made.worker)
    sql = (
        "select p.proname as name, has_function_privilege('public', p.oid, 'execute') as public, proconfig as settings "
        "from pg_proc p where prosecdef and pronamespace = current_schema()::regnamespace order by 1"
    )
    found = [dict(row) for row in await worker.fetch(sql)]
    fixed = [f"search_path={made.name}, pg_temp"]
    names = ("journal_partition_make", "journal_partitions_drop")
    assert found == [{"name": name, "public": False, "settings": fixed} for name in names]
    await worker.close()


@pytest.mark.parametrize(
    ("take", "lacks"),
    [
        ("revoke usage on schema {0} from {0}_worker", "usage on schema {0}"),
        ("revoke insert, delete on {0}.users from {0}_worker", "insert, delete on table users"),
        ("revoke select on {0}.alembic_version from {0}_worker", "select on table alembic_version"),
        (
            "revoke execute on function {0}.journal_partitions_drop from {0}_worker",
            "execute on function journal_partit",
        ),
    ],
)
async def test_a_missing_right_is_named_at_the_start(services: Provided, made: Roles, take: str, lacks: str) -> None:
    settings = of(services, made.worker)
    await made.run(take.format(made.name))
    try:
        with pytest.raises(ConfigurationError) as raised:
            await app.run(settings)
        assert f"the role {made.name}_worker lacks these rights: {lacks.format(made.name)}" in str(raised.value)
        assert "deploy/roles.sql" in str(raised.value)
    finally:
        await made.run(made.script)
    assert (await needs.look(Database(settings), 1)).problems == []


async def test_too_few_sessions_are_refused_at_the_start(services: Provided, made: Roles) -> None:
    settings = of(services, made.worker)
    await made.run(f"alter role {made.name}_worker connection limit 4")
    try:
        with pytest.raises(
            ConfigurationError, match=r"may have 4 connections at once, and a worker needs 10: raise the role's"
        ):
            await app.run(settings)
    finally:
        await made.run(f"alter role {made.name}_worker connection limit -1")


async def test_sessions_that_others_have_taken_are_waited_for(services: Provided, made: Roles) -> None:
    settings = of(services, made.worker)
    needed = app.sessions_needed(settings)
    await made.run(f"alter role {made.name}_worker connection limit {needed + 1}")
    others = [await asyncpg.connect(made.worker) for _ in range(2)]
    try:
        with pytest.raises(
            Unavailable, match=rf"needs {needed} connections, and 2 of the {needed + 1} that the role's"
        ):
            await needs.check(Database(settings), needed)
        await others.pop().close()
        await _until(lambda: _is_well(settings, needed))
    finally:
        for other in others:
            await other.close()
        await made.run(f"alter role {made.name}_worker connection limit -1")


async def _is_well(settings: Settings, needed: int) -> bool:
    try:
        await needs.check(Database(settings), needed)
    except Unavailable:
        return False
    return True


async def test_a_deployment_that_is_there_already_gets_its_roles_later(services: Provided) -> None:
    """Its tables belong to whoever migrated; after the next migration the worker's role may do what it needs."""
    async with roles(services.database_url) as made:
        await made.run(f"drop schema {made.name} cascade; create schema {made.name}")
        path = f"?options=-csearch_path%3D{made.name}"
        await migrations.upgrade(of(services, made.administrator + path))
        await made.run(made.script.replace(f"owner name := '{made.name}_owner'", "owner name := current_user"))
        assert (await needs.look(Database(of(services, made.worker)), 1)).problems == []
        await migrations.check(of(services, made.worker))


async def test_who_may_not_migrate_is_told(services: Provided) -> None:
    async with roles(services.database_url) as made:
        with pytest.raises(
            ConfigurationError, match=r"permission denied for schema .*`migrate` needs the role that owns"
        ):
            await migrations.upgrade(of(services, made.worker))


async def test_a_providers_administrator_can_run_it(services: Provided) -> None:
    """No superuser, but a role that may create roles and owns the database."""
    async with roles(services.database_url) as made:
        await made.run(f"drop schema {made.name} cascade")
        await made.run(f"drop owned by {made.name}_owner, {made.name}_worker")
        await made.run(f"drop role {made.name}_owner; drop role {made.name}_worker")
        await made.run(
            f"create role {made.name}_admin createrole; alter database {made.name} owner to {made.name}_admin"
        )
        await made.run(f"set role {made.name}_admin; {made.script}")
        await made.run(f"alter role {made.name}_owner password 'for these tests'")
        await migrations.upgrade(of(services, made.owner))
        await made.run(f"reassign owned by {made.name}_admin to current_user; drop owned by {made.name}_admin")
        await made.run(f"drop role {made.name}_admin")
