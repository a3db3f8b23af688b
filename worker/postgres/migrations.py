"""The database's schema: alembic's revisions, each of which runs one SQL file of `sql/migrations/`.

Alembic was chosen over yoyo for its transactional steps without a lock table: an advisory lock ends with its session,
so a migration that was killed never blocks the next one.
"""

from __future__ import annotations

import asyncio
from importlib import resources
from typing import Any

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from worker.errors import ConfigurationError, Unavailable, WorkerError
from worker.postgres import locks
from worker.postgres.connect import SESSION_SETTINGS, Connector
from worker.postgres.session import DriverError
from worker.settings import Settings

MIGRATION_SECONDS_MAX = 3_600
MIGRATION_SETTINGS = {"lock_timeout": "0", "idle_in_transaction_session_timeout": "0"}
"""Beside the sessions' own: several that migrate at once wait for each other, and a step may take its time."""


def _scripts() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(resources.files("worker") / "sql" / "migrations"))
    config.set_main_option("path_separator", "os")
    return ScriptDirectory.from_config(config)


async def upgrade(settings: Settings) -> list[str]:
    """Bring the schema to this version; safe when several do it at once.

    Returns the revisions that this call applied, oldest first. Raises Unavailable, or ConfigurationError if one fails
    or the database is of a newer version.
    """
    applied: list[str] = []

    def run(connection: Connection) -> None:
        connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": locks.MIGRATION})
        scripts = _scripts()
        _current(connection, scripts)

        def steps(revision: Any, context: MigrationContext) -> Any:
            todo = scripts._upgrade_revs("head", revision)
            applied.extend(step.revision.revision for step in todo)
            return todo

        with EnvironmentContext(Config(), scripts, fn=steps) as env:
            env.configure(connection=connection, transactional_ddl=True)
            env.run_migrations()

    await _with_connection(settings, run)
    return applied


async def pending(settings: Settings) -> list[str]:
    """The revisions that the database lacks, oldest first; raises ConfigurationError if it is of a newer version."""
    found: list[str] = []

    def run(connection: Connection) -> None:
        scripts = _scripts()
        current = _current(connection, scripts)
        found.extend(script.revision for script in scripts.iterate_revisions("head", current or "base"))

    await _with_connection(settings, run)
    return found[::-1]


def _current(connection: Connection, scripts: ScriptDirectory) -> str | None:
    """The database's revision, None if it has none; raises ConfigurationError if this version does not know it."""
    current = MigrationContext.configure(connection).get_current_revision()
    if current is not None and current not in {script.revision for script in scripts.walk_revisions()}:
        raise ConfigurationError(
            f"The database is at revision {current}, which this version does not know: run a newer segmentation"
        )
    return current


async def check(settings: Settings) -> None:
    """Raise ConfigurationError unless the schema is of this version."""
    missing = await pending(settings)
    if missing:
        raise ConfigurationError(
            f"The database lacks the migrations {', '.join(missing)}: run `segmentation migrate` first"
        )


async def _with_connection(settings: Settings, run: Any) -> None:
    connector = Connector(settings.database_url.get_secret_value(), SESSION_SETTINGS | MIGRATION_SETTINGS)

    async def connect() -> Any:
        return await connector.connect("migrations", MIGRATION_SECONDS_MAX)

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    try:
        async with asyncio.timeout(MIGRATION_SECONDS_MAX), engine.begin() as connection:
            await connection.run_sync(run)
    except (OSError, TimeoutError) as error:
        message = str(error) or type(error).__name__
        raise Unavailable(f"PostgreSQL at {connector.address} went away: {message}") from error
    except (SQLAlchemyError, DriverError) as error:
        cause = getattr(error, "orig", None) or error
        raise _sentence(cause, connector.address) from error
    finally:
        await engine.dispose()


def _sentence(cause: BaseException, address: str) -> WorkerError:
    """What ended the work on the schema; nothing of it was kept, as it is one transaction."""
    driver = cause.__cause__ if isinstance(cause.__cause__, DriverError) else cause
    match str(getattr(driver, "sqlstate", ""))[:2]:
        case "08" | "57" | "53":
            return Unavailable(f"PostgreSQL at {address}: {driver}")
        case "42" if getattr(driver, "sqlstate", "") == "42501":
            return ConfigurationError(
                f"PostgreSQL at {address}: {driver}. `migrate` needs the role that owns the schema, and `run` the "
                "grants of deploy/roles.sql: see docs/security.md"
            )
    return ConfigurationError(f"The migration failed, and nothing of it was kept: {cause}")


def run_sql(connection: Connection, file: str) -> None:
    """Run all statements of `sql/migrations/<file>` in the migration's own transaction."""
    script = (resources.files("worker") / "sql" / "migrations" / file).read_text(encoding="utf-8")
    adapted: Any = connection.connection.dbapi_connection
    adapted.run_async(lambda driver: driver.execute(script))
