"""What happened to users and segments in the past: commands applied and jobs run, with the clock in the test's hand."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any
from zlib import crc32

import asyncpg
import pytest

from schemas.buckets import is_inside
from schemas.commands import COMMANDS, CommandType
from schemas.decode import decode
from schemas.producer import new_command
from schemas.topics import topic_name
from tests.model.world import BYTES_MAX, PARTITIONS, World
from worker.cli import history
from worker.cli.why.command import why as explain
from worker.cli.why.journal import Months
from worker.line.batch import Received
from worker.settings import ENV_PREFIX, Settings

BEGINNING = timedelta(days=90)
"""So long ago a life begins: in months without a partition of their own."""
SOURCE = "/shop"


@dataclass
class Life(World):
    """A worker without Kafka; what it asks of the command line is asked at the real time."""

    commands: int = 0

    def __post_init__(self) -> None:
        self.now = datetime.now(UTC).replace(microsecond=0) - BEGINNING

    def passes(self, **duration: float) -> datetime:
        """Time goes by; it is so late then."""
        self.now += timedelta(**duration)
        return self.now

    async def do(self, command: CommandType, data: dict[str, Any], id: str | None = None) -> datetime:  # noqa: A002
        """A command, applied; when that was."""
        self.commands += 1
        made = new_command(command, data, source=SOURCE, id=id or f"command-{self.commands}", time=self.now)
        topic = COMMANDS[command].topic
        place = (topic_name(self.settings.topic_prefix, topic), crc32(made.key) % PARTITIONS)
        offset = self.offsets[place]
        self.offsets[place] = offset + 1
        what = decode(made.value, made.headers, made.key, topic, 0, BYTES_MAX)
        await self.deliver([Received(*place, offset, made.key, made.value, len(made.value), what)], together=True)
        return self.now

    async def user(self, name: str = "ada") -> datetime:
        """Registered now."""
        return await self.do("user.register", {"user_id": name})

    async def segment(self, name: str = "beta", **data: Any) -> datetime:
        """Created now."""
        return await self.do("segment.create", {"segment": name, **data})

    async def change(self, user: str = "ada", id: str | None = None, **data: Any) -> datetime:  # noqa: A002
        """A change of memberships."""
        return await self.do("membership.change", {"user_id": user, **data}, id)

    async def someone(self, percent: float, *, inside: bool, segment: str = "beta") -> str:
        """A name that the segment's percent would take, or would not."""
        salt = str(await self.sql("select salt from segments where segment = $1 and deleted_at is null", segment))
        names = (f"user-{n}" for n in count())
        return next(name for name in names if is_inside(salt, name, Decimal(str(percent))) is inside)

    async def sql(self, statement: str, *arguments: Any) -> Any:
        """A value out of the database."""
        connection = await asyncpg.connect(self.settings.database_url.get_secret_value())
        try:
            return await connection.fetchval(statement, *arguments)
        finally:
            await connection.close()

    async def roll_out_all(self) -> None:
        """All rollouts, to their ends."""
        while await self.looking.fetch("rollouts_next"):
            await self.rollout.turn(self.looking)


@dataclass
class Desk:
    """A person of support, who has a life's settings and the command line."""

    life: Life
    capture: pytest.CaptureFixture[str]

    async def why(self, user: str = "ada", segment: str = "beta", **others: Any) -> dict[str, Any]:
        """What a program is told; the view for SQL readers says the same of the state."""
        said = await self._why(user, segment, as_json=True, **others)
        (line,) = said.splitlines()
        answer: dict[str, Any] = json.loads(line)
        statement = "select count(*) from active_memberships where user_id = $1 and segment = $2"
        assert answer["is_in"] is bool(await self.life.sql(statement, user, segment)), answer["answer"]
        return answer

    async def why_text(self, user: str = "ada", segment: str = "beta", **others: Any) -> list[str]:
        """The lines that a person reads."""
        return (await self._why(user, segment, as_json=False, **others)).splitlines()

    async def history(self, user: str = "ada", **others: Any) -> list[dict[str, Any]]:
        """The events of a page."""
        return [json.loads(line) for line in (await self._history(user, as_json=True, **others)).splitlines()]

    async def history_text(self, user: str = "ada", **others: Any) -> list[str]:
        """… as a person reads them."""
        return (await self._history(user, as_json=False, **others)).splitlines()

    async def _why(self, user: str, segment: str, *, as_json: bool, limit: int = 20, since: str | None = None) -> str:
        self.capture.readouterr()
        await explain(user, segment, limit=limit, months=Months(since), as_json=as_json)
        return self.capture.readouterr().out

    async def _history(
        self,
        user: str,
        *,
        as_json: bool,
        limit: int = 20,
        before: int | None = None,
        since: str | None = None,
        until: str | None = None,
    ) -> str:
        self.capture.readouterr()
        months = Months(since, until)
        await history.history(user, limit=limit, before=before, months=months, as_json=as_json)
        return self.capture.readouterr().out


@asynccontextmanager
async def support(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]
) -> AsyncIterator[Desk]:
    """A desk with a new life."""
    monkeypatch.setenv(f"{ENV_PREFIX}DATABASE_URL", settings.database_url.get_secret_value())
    monkeypatch.setenv(f"{ENV_PREFIX}TOPIC_PREFIX", settings.topic_prefix)
    monkeypatch.setenv("COLUMNS", "200")
    life = Life(settings)
    async with life:
        yield Desk(life, capture)
