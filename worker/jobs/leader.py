"""Runs the jobs in one of all workers: APScheduler says when to look, the database what is due, and jobs take turns."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from worker.errors import ConfigurationError, Hindered, Refused
from worker.jobs.job import Job
from worker.jobs.run import Run
from worker.leadership.election import Elected
from worker.leadership.ticking import ticking
from worker.observability import metrics
from worker.observability.logs import logger
from worker.observability.mistakes import contained
from worker.observability.progress import Progress
from worker.postgres.clock import Clock, told
from worker.postgres.locks import Role
from worker.postgres.session import Database, DriverError, Session

log = logger(__name__)

UNPUBLISHED_ROWS_MAX = 5_000
"""With more journal rows waiting for the relay, jobs wait too: commands' events come after theirs."""
UNPUBLISHED_ROWS_URGENT_MAX = 20_000
"""… an urgent job waits with so many only: what others have journaled does not hold it up."""
BACKLOG_SECONDS = 0.02
PAUSE_SECONDS = 0.002
"""Between turns, so that command batches come through."""
FAILURES = (Refused, Hindered, ConfigurationError, DriverError)
"""Whatever the server answers fails the job alone; a session that is gone ends the leadership."""


class Leader(Elected):
    """Runs each job when it is due, a turn at a time."""

    name = "jobs"
    role = Role.JOBS

    def __init__(
        self,
        database: Database,
        progress: Progress,
        jobs: Sequence[Job],
        *,
        clock: Clock,
        journaled: Callable[[], None],
    ) -> None:
        super().__init__(database, progress)
        self._jobs, self._clock, self._journaled = jobs, clock, journaled
        self._due = asyncio.Event()

    async def lead(self, session: Session) -> None:
        """Turn after turn, until told to stop."""
        runs = [Run(job, self._clock) for job in self._jobs]
        await session.fetch("jobs_scheduled", [job.name for job in self._jobs], await told(session, self._clock))
        for run in runs:
            self._mark(run)
        metrics.JOBS_LEAD.set(1)
        try:
            with ticking({run.job.name: (run.job.every_seconds, partial(self._mark, run)) for run in runs}):
                await self._take_turns(session, runs)
        finally:
            metrics.JOBS_LEAD.set(0)

    async def _take_turns(self, session: Session, runs: Sequence[Run]) -> None:
        while not self.stopping.is_set():
            self._beat()
            due = [run for run in runs if run.is_ready()]
            if not due:
                await self._wait_for_work(session)
                continue
            for run in due:
                await self._turn(session, run)
            await self.wait(PAUSE_SECONDS)

    def _mark(self, run: Run) -> None:
        run.is_due = True
        self._due.set()

    async def _wait_for_work(self, session: Session) -> None:
        """Until the clock ticks. Whether a job is due stands in its run, so a tick that came before is not lost."""
        self._due.clear()
        waiting = asyncio.ensure_future(self._due.wait())
        stopping = asyncio.ensure_future(self.stopping.wait())
        try:
            await self.leading(_first(waiting, stopping))
        finally:
            waiting.cancel()
            stopping.cancel()

    async def _turn(self, session: Session, run: Run) -> None:
        """One turn of a job. What it is refused is noted, and it is tried again after a growing pause."""
        if run.job.journals and await self._relay_is_behind(session, run.job):
            await self.wait(BACKLOG_SECONDS)
            return
        try:
            with contained("a job has failed", DriverError):
                done = await run.job.turn(session)
        except FAILURES as failure:
            error = str(failure) or type(failure).__name__
            metrics.JOB_FAILURES.labels(run.job.name).inc()
            log.error("a job has failed", job=run.job.name, error=error, failures=run.failures + 1)
            await run.failed(session, error)
            return
        if done is None:
            await run.ended(session)
            return
        if done:
            self._journaled()
        await run.went_on(session, done)

    async def _relay_is_behind(self, session: Session, job: Job) -> bool:
        row = await session.row("journal_backlog")
        return bool(row["unpublished"] > (UNPUBLISHED_ROWS_URGENT_MAX if job.is_urgent else UNPUBLISHED_ROWS_MAX))


async def _first(*tasks: asyncio.Future[Any]) -> None:
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
