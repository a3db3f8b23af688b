"""Makes the reports that are due or asked for: one process at a time, a month at a time, again after every failure.

What is due is read from the database. An attempt that a crash has cut off is begun anew by the next leader: the
documents' ids were kept before anything was stored, so there is never a second file.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, TypeVar

from worker.errors import ConfigurationError, Refused, Unavailable
from worker.leadership.election import Elected
from worker.leadership.ticking import ticking
from worker.observability import metrics
from worker.observability.logs import logger
from worker.observability.progress import Progress
from worker.postgres.clock import Clock, moment
from worker.postgres.locks import Role
from worker.postgres.session import Database, DriverError, Session
from worker.reports.discretion import Discretion
from worker.reports.edition import Edition, EditionMaker, Places
from worker.reports.failures import ReportError, refused_by_database
from worker.reports.ledger import Attempt, Ledger
from worker.reports.months import Month
from worker.reports.storage import Storage
from worker.settings import Settings

log = logger(__name__)
T = TypeVar("T")

LOOK_SECONDS = 1.0
"""How often the database is asked whether a report is due or wanted."""
RETRY_SECONDS_MIN = 15.0
STATEMENT_SECONDS_MAX = 6 * 3_600.0
"""The month's sums take as long as its rows make them, s."""


class Interrupted(Exception):
    """The worker is told to stop; the next leader begins the report anew."""


class Reporter(Elected):
    """The one process that makes reports."""

    name = "reports"
    role = Role.REPORTS

    def __init__(
        self,
        settings: Settings,
        database: Database,
        progress: Progress,
        storage: Storage,
        *,
        clock: Clock,
        journaled: Callable[[], None],
        retry_seconds_min: float = RETRY_SECONDS_MIN,
    ) -> None:
        super().__init__(database, progress)
        self._settings, self._storage = settings, storage
        self._reading = database.session("report", self._beat, statement_seconds_max=STATEMENT_SECONDS_MAX)
        self._clock, self._journaled = clock, journaled
        self._delay = timedelta(days=settings.report_day - 1, hours=settings.report_hour)
        self._discretion = Discretion(settings)
        self._ledger = Ledger(clock, self._delay, retry_seconds_min, self._discretion)
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
            await self._ledger.elected(session)
            await self._until_stopped(self.leading(self._check_storage()))
            with ticking({self.name: (LOOK_SECONDS, self._look.set)}):
                while not self.stopping.is_set():
                    self._beat()
                    await self._take_turn(session)
        except Interrupted:
            log.info("a report is left to the next leader")
        except (Refused, ConfigurationError, DriverError) as error:  # not even the failure could be noted
            raise Unavailable(f"the tables of reports can't be used: {error}") from error
        finally:
            metrics.REPORTS_LEAD.set(0)
            metrics.REPORTS_OVERDUE.set(0)

    async def _take_turn(self, session: Session) -> None:
        """A report, or else a pause."""
        now = await moment(session, self._clock)
        metrics.REPORTS_OVERDUE.set((await session.row("report_overdue", now, self._delay))["overdue"])
        due = await session.fetch("report_next", now, self._delay, self._storage.name)
        if due:
            await self._report(session, Month.of(due[0]["month"]))
            self._journaled()
            return
        self._look.clear()
        with contextlib.suppress(Interrupted):
            await self._until_stopped(self.leading(self._time_to_look()))

    async def _check_storage(self) -> None:
        """Say at once what would make the month's report fail."""
        for finding in await self._storage.check(with_trial=False):
            if not finding.is_good:
                log.error("reports can't be stored as things are", what=finding.what, problem=finding.message)

    async def _time_to_look(self) -> None:
        await self._look.wait()

    async def _report(self, session: Session, month: Month) -> None:
        """One attempt at a month, with what came of it."""
        try:
            attempt = await self._ledger.begin(session, month, self._storage.name)
            log.info("report begun", month=str(month), attempt=attempt.number, storage=attempt.storage)
            edition = await self._make(session, attempt)
            await self._ledger.published(session, attempt, edition)
        except (ReportError, Refused, ConfigurationError, DriverError) as error:
            failure = error if isinstance(error, ReportError) else refused_by_database(error)
            retry_at = await self._ledger.failed(session, month, failure)
            metrics.REPORTS.labels("failed").inc()
            said = self._discretion.for_log(str(failure))
            log.error("report failed", month=str(month), code=failure.code, error=said, retry_at=str(retry_at))
            return
        metrics.REPORTS.labels("published").inc()
        log.info("report published", month=str(month), rows=edition.rows, bytes=edition.bytes, link=edition.link)

    async def _make(self, session: Session, attempt: Attempt) -> Edition:
        """Make the edition over a session of its own, while the leader's keeps the lock and notes the progress."""
        places = await self._places(session, attempt)
        maker = EditionMaker(
            self._settings,
            self._reading,
            self._storage,
            attempt.month,
            is_partial=attempt.is_partial,
            clock=self._clock,
        )

        async def progress() -> None:
            await session.fetch(
                "report_progress", attempt.month.first_day, attempt.number, maker.rows, maker.rows_total
            )

        return await self._until_stopped(self.leading(maker.make(places), progress))

    async def _places(self, session: Session, attempt: Attempt) -> Places:
        """The documents' ids, new ones for a month that is new to this storage."""
        if attempt.file_id is not None and attempt.page_id is not None:
            return Places(attempt.file_id, attempt.page_id)
        new = await self._until_stopped(self.leading(self._storage.reserve(2)))
        places = Places(attempt.file_id or new[0], attempt.page_id or new[1])
        await self._ledger.reserved(session, attempt, places)
        return places

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
