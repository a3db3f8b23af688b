"""A database, a clock and a journal written by hand, for reports; the storage is a folder."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg

from worker.observability.progress import Progress
from worker.postgres.session import Database, Session
from worker.reports.directory import Directory
from worker.reports.months import Month
from worker.reports.reporter import Reporter
from worker.reports.storage import Storage
from worker.settings import Settings

MONTH = Month(2025, 3)
RETRY_SECONDS_MIN = 0.05
WAIT_SECONDS_MAX = 60.0


@dataclass
class Desk:
    """What a test of reports needs."""

    settings: Settings
    session: Session
    sql: asyncpg.Connection[asyncpg.Record]
    folder: Path
    now: datetime = field(default_factory=lambda: datetime(2025, 4, 1, 12, tzinfo=UTC))
    sequence: int = 0

    def clock(self) -> datetime:
        """The test's time."""
        return self.now

    async def segment(self, name: str, created_at: datetime = MONTH.begins, deleted_at: datetime | None = None) -> int:
        """A segment's key."""
        key: int = await self.sql.fetchval(
            "insert into segments (segment, segment_id, salt, created_at, updated_at, deleted_at)"
            " values ($1, gen_random_uuid(), gen_random_uuid(), $2, $2, $3) returning segment_key",
            name,
            created_at,
            deleted_at,
        )
        return key

    async def journal(self, time: datetime, user_id: str, reason: str = "command", **columns: Any) -> None:
        """A row of membership.changed, after all others."""
        self.sequence += 1
        names = ["sequence", "time", "type", "reason", "user_id", *columns]
        values = [self.sequence, time, "membership.changed", reason, user_id, *columns.values()]
        places = ", ".join(f"${number + 1}" for number in range(len(values)))
        await self.sql.execute(f"insert into journal ({', '.join(names)}) values ({places})", *values)
        await self.sql.execute("update journal_head set sequence = $1, time = greatest(time, $2)", self.sequence, time)

    async def request(self, month: Month, command_id: str) -> None:
        """Ask for a report, as the handler does."""
        await self.session.fetch("report_request", [month.first_day], [command_id], ["/t"], ["c"], [None], self.now)

    async def report(self, month: Month = MONTH) -> dict[str, Any]:
        """The month's row."""
        row = await self.sql.fetchrow(
            "select r.*, d.file_id, d.page_id from reports r left join report_documents d using (month, storage)"
            " where month = $1",
            month.first_day,
        )
        return dict(row) if row else {}

    async def events(self) -> list[dict[str, Any]]:
        """The reports' events so far: type, cause and data."""
        rows = await self.sql.fetch(
            "select type::text, command_id, detail from journal where type in ('report.published', 'report.failed')"
            " order by sequence"
        )
        return [{"type": row["type"], "cause": row["command_id"]} | json.loads(row["detail"]) for row in rows]

    def reporter(self, storage: Storage | None = None) -> Reporter:
        """One that is not running yet."""
        return Reporter(
            self.settings,
            Database(self.settings),
            Progress(60),
            storage or Directory(str(self.folder)),
            clock=self.clock,
            journaled=lambda: None,
            retry_seconds_min=RETRY_SECONDS_MIN,
        )

    async def until(self, enough: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
        """Wait for the reports' events."""
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while not enough(events := await self.events()):
                await asyncio.sleep(0.02)
        return events

    def files(self) -> list[str]:
        """All that is in the folder, whatever it is."""
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file())


@contextlib.asynccontextmanager
async def at_work(*reporters: Reporter) -> AsyncIterator[Sequence[asyncio.Task[None]]]:
    """They run during the context; what ends one is the test's."""
    tasks = [asyncio.create_task(reporter.run()) for reporter in reporters]
    try:
        yield tasks
    finally:
        for reporter in reporters:
            reporter.stopping.set()
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            await asyncio.gather(*tasks)


def published(count: int) -> Callable[[list[dict[str, Any]]], bool]:
    """Enough reports were published."""
    return lambda events: sum(event["type"] == "report.published" for event in events) >= count


def failed(count: int) -> Callable[[list[dict[str, Any]]], bool]:
    """Enough failures were told."""
    return lambda events: sum(event["type"] == "report.failed" for event in events) >= count
