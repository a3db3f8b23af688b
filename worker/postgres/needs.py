"""What a worker needs of its PostgreSQL: a version, the primary, rights and sessions."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from importlib import resources

from worker.errors import ConfigurationError
from worker.postgres.session import Database, Record

VERSION_MIN = 180_000
VERSION_TABLE = "alembic_version"
_CREATED = re.compile(r"create (?:or replace )?(?:table|view|function) (\w+)")


@dataclass(frozen=True, slots=True)
class Found:
    """What the server says, and what is wrong with it, a sentence each."""

    version: str
    role: str
    is_owner: bool
    is_durable: bool
    sessions_possible: int
    sessions_taken: int
    problems: list[str]


@functools.cache
def objects() -> list[str]:
    """The names of all tables, views and functions that the migrations make."""
    folder = resources.files("worker") / "sql" / "migrations"
    texts = (file.read_text(encoding="utf-8") for file in folder.iterdir() if file.name.endswith(".sql"))
    return sorted({VERSION_TABLE, *(name for text in texts for name in _CREATED.findall(text))})


async def look(database: Database, sessions: int) -> Found:
    """Ask the server; raises Unavailable, or ConfigurationError where it does not let us in."""
    session = database.session("start")
    try:
        row = await session.row("server_needs")
        missing = [one["missing"] for one in await session.fetch("rights_missing", objects())]
    finally:
        await session.close()
    problems = [f"is of version {row['version']}; 18 or newer is needed"] if row["version_number"] < VERSION_MIN else []
    if row["is_read_only"]:
        problems.append("is a standby, and so read-only: name the primary")
    if missing:
        problems.append(
            f"the role {row['role']} lacks these rights: {'; '.join(missing)}. deploy/roles.sql grants them, see "
            "docs/security.md"
        )
    possible, short = _sessions(row, sessions)
    return Found(
        version=row["version"],
        role=row["role"],
        is_owner=row["is_owner"],
        is_durable=row["is_durable"],
        sessions_possible=possible,
        sessions_taken=row["taken"],
        problems=[f"PostgreSQL at {database.address}: {problem}" for problem in problems + short],
    )


async def check(database: Database, sessions: int) -> None:
    """Raise ConfigurationError with a line for each thing that a worker would lack."""
    found = await look(database, sessions)
    if found.problems:
        raise ConfigurationError("\n".join(found.problems))


def _sessions(row: Record, needed: int) -> tuple[int, list[str]]:
    """How many sessions all workers may have together, and a sentence if not even one worker has enough."""
    limits = {
        "the role's connection limit": row["role_limit"],
        "the database's connection limit": row["database_limit"],
        "max_connections": row["server_limit"],
    }
    possible = {how: limit for how, limit in limits.items() if limit is not None}
    how = min(possible, key=lambda name: possible[name])
    if possible[how] >= needed:
        return possible[how], []
    return possible[how], [
        f"the role {row['role']} may have {possible[how]} connections at once, and a worker needs {needed}: raise {how}"
        ", or lower SEGMENTATION_APPLY_CONNECTIONS"
    ]
