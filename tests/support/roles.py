"""A database whose roles were made by deploy/roles.sql."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg

from tests.conftest import beside

FILE = Path(__file__).parents[2] / "deploy" / "roles.sql"
PASSWORD = "for these tests"


@dataclass(frozen=True, slots=True)
class Roles:
    """The URL of one database for each of its roles; `name` is also the schema's."""

    name: str
    administrator: str
    owner: str
    worker: str

    @property
    def script(self) -> str:
        """deploy/roles.sql with this database's own names."""
        text = FILE.read_text(encoding="utf-8")
        for what in ("owner", "worker"):
            text = text.replace(f"'segmentation_{what}'", f"'{self.name}_{what}'")
        return text.replace("'segmentation'", f"'{self.name}'")

    async def run(self, sql: str) -> None:
        """As the administrator."""
        connection = await asyncpg.connect(self.administrator)
        try:
            await connection.execute(sql)
        finally:
            await connection.close()


@contextlib.asynccontextmanager
async def roles(server_url: str) -> AsyncIterator[Roles]:
    """A new database in which the script has run, before any migration; it goes at the end, with its roles."""
    name = f"roles_{uuid4().hex[:8]}"
    server = await asyncpg.connect(server_url)
    try:
        await server.execute(f"create database {name}")
        url = beside(server_url, name)
        made = Roles(name, url, _as(url, f"{name}_owner"), _as(url, f"{name}_worker"))
        await made.run(made.script)
        for what in ("owner", "worker"):
            await server.execute(f"alter role {name}_{what} password '{PASSWORD}'")
        yield made
        await server.execute(f"drop database {name} with (force)")
        await server.execute(f"drop role {name}_owner, {name}_worker")
    finally:
        await server.close()


def _as(url: str, role: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{role}:{PASSWORD.replace(' ', '%20')}@{parts.hostname}:{parts.port}"))
