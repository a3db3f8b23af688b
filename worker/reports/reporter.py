"""Makes the reports that are due or asked for: one process at a time, a month at a time, again after every failure.

What is due is read from the database. An attempt that a crash has cut off is begun anew by the next leader: the
documents' ids were kept before anything was stored, so there is never a second file.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from worker import journal, metrics
from worker.database import Database, Record, Session
from worker.election import Elected
from worker.errors import Refused
from worker.logs import logger
from worker.progress import Progress
from worker.reports.edition import Edition, EditionMaker, Places
from worker.reports.months import Month
from worker.reports.rendering import RenderingFailed
from worker.reports.storage import DocumentLost, Storage, StorageError
from worker.settings import Settings
from worker.ticking import ticking

log = logger(__name__)
T = TypeVar("T")

LOOK_SECONDS = 1.0
"""How often the database is asked whether a report is due or wanted."""
RETRY_SECONDS_MIN, RETRY_SECONDS_MAX = 15.0, 3_600.0
JOB = "reports"
"""Its name in `segmentation jobs`."""


class Interrupted(Exception):
    """The worker is told to stop; the next leader begins the report anew."""


class Reporter(Elected):
    """The one process that makes reports."""

    name = "reports"
    lock = 3

    def __init__(
        self,
        settings: Settings,
        database: Database,
        progress: Progress,
        storage: Storage,
        *,
        clock: journal.Clock,
        journaled: Callable[[], None],
        retry_seconds_min: float = RETRY_SECONDS_MIN,
    ) -> None:
        super().__init__(database, progress)
        self._settings, self._storage = settings, storage
        self._reading = database.session("report", self._beat)
        self._clock, self._journaled = clock, journaled
        self._retry_seconds_min = retry_seconds_min
        self._delay = timedelta(days=settings.report_day - 1, hours=settings.report_hour)
        self._look = asyncio.Event()

    async def run(self) -> None:
        """As every elected service; at the end the storage is closed."""
        try:
            await super().run()
        finally:
            await self._reading.close()
            await self._storage.close()

    async def lead(self, session: Session) -> None:
        """Report after report, until told to stop."""
        metrics.REPORTS_LEAD.set(1)
        try:
            now = self._clock()
            await session.fetch("jobs_scheduled", [JOB], now)
            await session.fetch("job_due", JOB, self._due_after(now))
            await self._until_stopped(self.leading(self._check_storage()))
            with ticking({self.name: (LOOK_SECONDS, self._look.set)}):
                while not self.stopping.is_set():
                    self._beat()
                    metrics.REPORTS_OVERDUE.set((await self._overdue(session))["overdue"])
                    due = await session.fetch("report_next", self._clock(), self._delay, self._storage.name)
                    if due:
                        await self._report(session, Month.of(due[0]["month"]))
                    else:
                        await self._wait_for_work()
        except Interrupted:
            log.info("a report is left to the next leader")
        finally:
            metrics.REPORTS_LEAD.set(0)

    def _due_after(self, now: datetime) -> datetime:
        """When the next month's end brings a report."""
        month = Month.of(now - self._delay)
        return month.ends + self._delay

    async def _overdue(self, session: Session) -> Record:
        return await session.row("report_overdue", self._clock(), self._delay)

    async def _check_storage(self) -> None:
        """Say at once what would make the month's report fail."""
        for finding in await self._storage.check(with_trial=False):
            if not finding.is_good:
                log.error("reports can't be stored as things are", what=finding.what, problem=finding.message)

    async def _wait_for_work(self) -> None:
        self._look.clear()
        with contextlib.suppress(Interrupted):
            await self._until_stopped(self.leading(self._look_time()))

    async def _look_time(self) -> None:
        await self._look.wait()

    async def _report(self, session: Session, month: Month) -> None:
        """One attempt at a month, with what came of it."""
        began = self._clock()
        await session.fetch("job_started", JOB, began)
        try:
            attempt = await self._begin(session, month)
            edition = await self._make(session, month, attempt)
        except (StorageError, RenderingFailed, Refused) as error:
            await self._failed(session, month, _as_failure(error))
        else:
            await self._published(session, month, edition, attempt["request_keys"])
        self._journaled()

    async def _begin(self, session: Session, month: Month) -> Record:
        """A finished month is closed first: what is journaled from now on is of a later one."""
        now = self._clock()
        if now >= month.ends:
            await session.fetch("report_seal", month.ends)
        return await session.row("report_begin", month.first_day, now, self._storage.name)

    async def _make(self, session: Session, month: Month, attempt: Record) -> Edition:
        log.info("report begun", month=str(month), attempt=attempt["attempt"], storage=self._storage.name)
        places = await self._places(session, month, attempt)
        maker = EditionMaker(self._settings, self._reading, self._storage, month, self._clock)

        async def progress() -> None:
            await session.fetch("report_progress", month.first_day, attempt["attempt"], maker.rows, maker.rows_total)

        return await self._until_stopped(self.leading(maker.make(places), progress))

    async def _places(self, session: Session, month: Month, attempt: Record) -> Places:
        """The documents' ids, new ones for a month that is new to this storage."""
        if attempt["file_id"] is not None and attempt["page_id"] is not None:
            return Places(attempt["file_id"], attempt["page_id"])
        new = await self._until_stopped(self.leading(self._storage.reserve(2)))
        places = Places(attempt["file_id"] or new[0], attempt["page_id"] or new[1])
        await session.fetch("report_reserve", month.first_day, places.file_id, places.page_id)
        return places

    async def _published(self, session: Session, month: Month, edition: Edition, requests: Sequence[int]) -> None:
        now = self._clock()
        detail = {
            "year": month.year,
            "month": month.month,
            "link": edition.link,
            "rows": edition.rows,
            "bytes": edition.bytes,
            "sha256": edition.sha256,
            "storage": self._storage.name,
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
                requests,
                edition.is_partial,
                now,
            )
            await journal.append(session, _rows("report.published", detail, askers or [None]), now)
            await session.fetch("job_finished", JOB, now, 1, None, self._due_after(now))
        metrics.REPORTS.labels("published").inc()
        log.info("report published", month=str(month), rows=edition.rows, bytes=edition.bytes, link=edition.link)

    async def _failed(self, session: Session, month: Month, error: StorageError) -> None:
        now = self._clock()
        failures = (await session.row("report_failures", month.first_day))["failures"] + 1
        seconds = min(self._retry_seconds_min * 2.0 ** (failures - 1), RETRY_SECONDS_MAX) * random.uniform(0.8, 1.0)
        retry_at = None if error.is_permanent else now + timedelta(seconds=seconds)
        detail = {"year": month.year, "month": month.month, "code": error.code, "message": str(error)}
        async with session.transaction():
            to_tell = await session.fetch(
                "report_failed",
                month.first_day,
                now,
                error.code,
                str(error),
                error.is_permanent,
                retry_at,
                error.link,
            )
            if isinstance(error, DocumentLost):
                await session.fetch("report_forget_document", month.first_day, error.document_id)
            await journal.append(session, _rows("report.failed", detail, to_tell), now)
            next_at = min(self._due_after(now), retry_at) if retry_at else self._due_after(now)
            await session.fetch("job_finished", JOB, now, 0, str(error), next_at)
        metrics.REPORTS.labels("failed").inc()
        log.error("report failed", month=str(month), code=error.code, error=str(error), retry_at=str(retry_at))

    async def _until_stopped(self, work: Coroutine[Any, Any, T]) -> T:
        """Work to its end; raises Interrupted where the worker is told to stop before."""
        task = asyncio.ensure_future(work)
        stopping = asyncio.ensure_future(self.stopping.wait())
        try:
            await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            if not task.done():
                task.cancel()
                await asyncio.wait({task})
        if task.cancelled():
            raise Interrupted
        return task.result()


def _rows(event_type: str, detail: dict[str, Any], askers: Sequence[Record | None]) -> list[journal.Row]:
    """An event for each who has asked; None stands for nobody."""
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


def _as_failure(error: StorageError | RenderingFailed | Refused) -> StorageError:
    if isinstance(error, StorageError):
        return error
    code = "page_failed" if isinstance(error, RenderingFailed) else "failed"
    return StorageError(code, str(error), is_permanent=False)
