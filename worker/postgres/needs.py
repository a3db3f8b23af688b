"""What a worker needs of its PostgreSQL: a version, the primary, rights and sessions."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from importlib import resources

from worker.errors import ConfigurationError, Unavailable
from worker.postgres.session import Database, Record

VERSION_MIN = 180_000
VERSION_TABLE = "alembic_version"
_CREATED = re.compile(r"create (?:or replace )?(?:unlogged )?(?:table|view|function) (?:if not exists )?(\w+)")


@dataclass(frozen=True, slots=True)
class Sessions:
    """The limit that leaves the least room: its name, how many sessions it allows, and how many others have taken."""

    limit: str
    possible: int
    taken: int

    @property
    def free(self) -> int:
        """How many may be opened now."""
        return max(0, self.possible - self.taken)


@dataclass(frozen=True, slots=True)
class Found:
    """What the server says, and what is wrong with it, a sentence each."""

    version: str
    role: str
    is_owner: bool
    is_durable: bool
    sessions: Sessions
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
    room = _room(row)
    if room.possible < sessions:
        problems.append(
            f"the role {row['role']} may have {room.possible} connections at once, and a worker needs {sessions}: "
            f"raise {room.limit}, or lower SEGMENTATION_APPLY_CONNECTIONS"
        )
    return Found(
        version=row["version"],
        role=row["role"],
        is_owner=row["is_owner"],
        is_durable=row["is_durable"],
        sessions=room,
        problems=[f"PostgreSQL at {database.address}: {problem}" for problem in problems],
    )


async def check(database: Database, sessions: int) -> None:
    """Raise ConfigurationError with a line for each thing that a worker would lack.

    Raises Unavailable while others have taken the sessions that it needs: they may end.
    """
    found = await look(database, sessions)
    if found.problems:
        raise ConfigurationError("\n".join(found.problems))
    room = found.sessions
    if room.free < sessions:
        raise Unavailable(
            f"PostgreSQL at {database.address}: a worker needs {sessions} connections, and {room.taken} of the "
            f"{room.possible} that {room.limit} allows are taken"
        )


def _room(row: Record) -> Sessions:
    limits = [
        Sessions(name, row[f"{key}_limit"], row[f"{key}_taken"])
        for key, name in (
            ("role", "the role's connection limit"),
            ("database", "the database's connection limit"),
            ("server", "max_connections"),
        )
        if row[f"{key}_limit"] is not None
    ]
    return min(limits, key=lambda limit: limit.free)
