"""What was decided before, as PostgreSQL remembers it: a repeated command has no outcome that could be waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from schemas.rejections import RejectionCode
from worker.cli.sender import Prepared
from worker.errors import Unavailable, WorkerError
from worker.line.names import command_name, reuse_name
from worker.postgres.session import Database, DriverError, FastUUID, Record
from worker.settings import Settings

LOOK_SECONDS_MAX = 3.0
APPLIED = ""
"""What became of a command that was not refused."""
REUSED = RejectionCode.ID_REUSED.value
"""What becomes of a command under the name of another one, whether it was told so or not."""


class Decided:
    """Looks names up as long as PostgreSQL answers; where it does not, nothing is known, and `problem` says why."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._session = Database(settings).session("send")
        self.problem: str | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def before(self, commands: Sequence[Prepared]) -> dict[Prepared, str]:
        """The commands that were decided before: for each the code that it was refused with, or APPLIED.

        One under the name of another command is among them once it was told so.
        """
        names = {command: (command_name(command.command), reuse_name(command.command)) for command in commands}
        found = await self._look([name for pair in names.values() for name in pair])
        return {
            command: outcome
            for command, (name, reused) in names.items()
            if (outcome := _outcome(command, found.get(name), found.get(reused))) is not None
        }

    async def outcomes(self, contents: Mapping[bytes, int]) -> dict[bytes, str]:
        """What became of commands by their names, each with what it says: APPLIED, REUSED, or the code of its refusal.

        Those that were not decided are left out. Raises Unavailable where PostgreSQL does not tell.
        """
        found = await self._look(list(contents))
        if self.problem is not None:
            raise Unavailable(self.problem)
        return {
            name: REUSED if row["content"] not in (None, contents[name]) else row["code"] or APPLIED
            for name, row in found.items()
        }

    async def _look(self, names: Sequence[bytes]) -> dict[bytes, Record]:
        if self.problem is not None or not names:
            return {}
        try:
            async with asyncio.timeout(LOOK_SECONDS_MAX):
                rows = await self._session.fetch("inbox_read", [FastUUID(name) for name in names])
        except TimeoutError:
            self.problem = f"PostgreSQL did not answer within {LOOK_SECONDS_MAX:g} s"
            return {}
        except (WorkerError, DriverError) as error:  # such as a schema of an older version
            self.problem = str(error)
            return {}
        return {row["name"].bytes: row for row in rows}


def _outcome(command: Prepared, row: Record | None, reused: Record | None) -> str | None:
    if row is None:
        return None
    if row["content"] is None or row["content"] == command.command.content:
        return row["code"] or APPLIED
    return None if reused is None else str(reused["code"])
