"""A session that comes to a sudden end when it is told to: before a statement, before COMMIT, or before its answer."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import asyncpg

from worker.errors import CommitUnknown
from worker.postgres.session import Database, Record, Session


class Mortal(Session):
    """Counts its steps; `ends_after` so many, None for never, the server ends it."""

    ends_after: int | None = None

    @classmethod
    def of(cls, database: Database, name: str) -> Mortal:
        """One that is not open yet."""
        like = database.session(name)
        return cls(like._connector, name, like._statement_seconds_max, like._beat, like.trust)

    async def fetch(self, name: str, *arguments: Any) -> list[Record]:
        """… unless it has come to its end."""
        if self._is_over():
            await self._end()
        return await super().fetch(name, *arguments)

    @contextlib.asynccontextmanager
    async def transaction(self, *, is_snapshot: bool = False, is_kept: bool = True) -> AsyncIterator[None]:
        """… of which COMMIT, or its answer, may get lost."""
        async with super().transaction(is_snapshot=is_snapshot, is_kept=is_kept):
            yield
            if self._is_over():
                await self._end()
        if self._is_over():
            self.drop()
            raise CommitUnknown("the answer was lost")

    def _is_over(self) -> bool:
        if self.ends_after is None:
            return False
        self.ends_after -= 1
        if self.ends_after >= 0:
            return False
        self.ends_after = None
        return True

    async def _end(self) -> None:
        """The server ends it; whoever uses it next finds out."""
        if self._connection is not None:
            with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                await self._connection.execute("select pg_terminate_backend(pg_backend_pid())")
