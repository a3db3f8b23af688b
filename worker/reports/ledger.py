"""Stores each step of a report over the leader's session, with its events in one transaction."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from worker.journal import rows as journal
from worker.postgres.clock import Clock, moment, told
from worker.postgres.session import Record, Session
from worker.reports.discretion import Discretion
from worker.reports.edition import Edition, Places
from worker.reports.failures import ReportError
from worker.reports.months import Month
from worker.reports.storage import DocumentLost

RETRY_SECONDS_MAX = 3_600.0
DOUBLINGS_MAX = 20
"""More do not matter: the limit is reached before."""
JOB = "reports"
"""Its name in `segmentation jobs`."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One that has begun. Whether the month still runs is decided here, once, for all of it."""

    month: Month
    number: int
    is_partial: bool
    storage: str
    file_id: str | None
    page_id: str | None
    requests: Sequence[int]


class Ledger:
    """Begins attempts and notes how they end. `delay` is from a month's end to its report."""

    def __init__(self, clock: Clock, delay: timedelta, retry_seconds_min: float, discretion: Discretion) -> None:
        self._clock, self._delay, self._retry_seconds_min = clock, delay, retry_seconds_min
        self._discretion = discretion

    def due_after(self, now: datetime) -> datetime:
        """When the next month's end brings a report."""
        return Month.of(now - self._delay).ends + self._delay

    async def elected(self, session: Session) -> None:
        """Another process makes the reports now."""
        now = await told(session, self._clock)
        await session.fetch("jobs_scheduled", [JOB], now)
        await session.fetch("job_due", JOB, self.due_after(now))

    async def begin(self, session: Session, month: Month, storage: str) -> Attempt:
        """Begin an attempt. A finished month is closed first: what is journaled from now on belongs to a later one."""
        now = await moment(session, self._clock)
        if now >= month.ends:
            await session.fetch("report_seal", month.ends)
        await session.fetch("job_started", JOB, now)
        row = await session.row("report_begin", month.first_day, now, storage)
        return Attempt(
            month, row["attempt"], now < month.ends, storage, row["file_id"], row["page_id"], row["request_keys"]
        )

    async def reserved(self, session: Session, attempt: Attempt, places: Places) -> None:
        """The month's documents have these ids in this storage from now on."""
        await session.fetch("report_reserve", attempt.month.first_day, attempt.storage, places.file_id, places.page_id)

    async def published(self, session: Session, attempt: Attempt, edition: Edition) -> None:
        """The edition is stored; tell those who asked before it was begun, or everybody if nobody did."""
        now, month = await moment(session, self._clock), attempt.month
        detail = {
            "year": month.year,
            "month": month.month,
            "link": edition.link,
            "page_link": edition.page_link,
            "rows": edition.rows,
            "bytes": edition.bytes,
            "sha256": edition.sha256,
            "storage": attempt.storage,
        }
        async with session.transaction():
            askers = await session.fetch(
                "report_published",
                month.first_day,
                edition.made_at,
                edition.link,
                edition.page_link,
                edition.rows,
                edition.bytes,
                edition.sha256,
                attempt.requests,
                attempt.is_partial,
                now,
            )
            await journal.append(session, _rows("report.published", detail, askers or [None]), now)
            await session.fetch("job_finished", JOB, now, 1, None, self.due_after(now))

    async def failed(self, session: Session, month: Month, error: ReportError) -> datetime | None:
        """Tell those who asked, once for each reason; returns when it is tried again, None if not by itself."""
        now = await moment(session, self._clock)
        retry_at = None if error.is_permanent else now + await self._pause(session, month)
        message = self._discretion.of(error.message)
        detail = {"year": month.year, "month": month.month, "code": error.code, "message": message}
        async with session.transaction():
            if error.code == "journal_dropped":  # says nothing about the report that was made before
                to_tell = await session.fetch("report_dropped", month.first_day, now, error.code, message)
            else:
                arguments = (now, error.code, message, error.is_permanent, retry_at, error.link)
                to_tell = await session.fetch("report_failed", month.first_day, *arguments)
            if isinstance(error, DocumentLost):
                await session.fetch("report_forget_document", month.first_day, error.document_id)
            await journal.append(session, _rows("report.failed", detail, to_tell), now)
            next_at = min(self.due_after(now), retry_at) if retry_at else self.due_after(now)
            await session.fetch("job_finished", JOB, now, 0, message, next_at)
        return retry_at

    async def _pause(self, session: Session, month: Month) -> timedelta:
        """Twice as long after each failure, up to the limit."""
        rows = await session.fetch("report_failures", month.first_day)
        failures = min(rows[0]["failures"] if rows else 0, DOUBLINGS_MAX)
        seconds = min(self._retry_seconds_min * 2.0**failures, RETRY_SECONDS_MAX)
        return timedelta(seconds=seconds * random.uniform(0.8, 1.0))


def _rows(event_type: str, detail: dict[str, Any], askers: Sequence[Record | None]) -> list[journal.Row]:
    """An event for each request; None stands for no request."""
    row = journal.report_event(None, event_type, detail)
    return [
        row
        if asker is None
        else row._replace(
            command_id=asker["command_id"],
            command_source=asker["command_source"],
            correlation_id=asker["correlation_id"],
            traceparent=asker["traceparent"],
        )
        for asker in askers
    ]
