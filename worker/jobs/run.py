"""A job's run: when it is due, how much it has done, and what the table job_runs says of it."""

from __future__ import annotations

import time
from datetime import timedelta
from enum import Enum, auto

from worker.jobs.job import Job
from worker.postgres.clock import Clock, told
from worker.postgres.session import Session

FAILURE_SECONDS, FAILURE_SECONDS_MAX = 0.5, 60.0
"""Until a job that failed is tried again: at first, doubled each time, and at most."""
NOTE_SECONDS = 1.0
"""How often a run's progress is written."""


class Noted(Enum):
    """What job_runs says of a job."""

    OUTDATED = auto()
    """Something of another leader, or a failure: the end of the next run is written, whatever it has done."""
    RUNNING = auto()
    """That it runs, and how far it is."""
    DONE = auto()
    """That its last run ended well: a run that finds nothing to do adds nothing to that, and costs no write."""


class Run:
    """A job's present run, or the time until the next one."""

    def __init__(self, job: Job, clock: Clock) -> None:
        self.job, self._clock = job, clock
        self.noted = Noted.OUTDATED
        self.is_due = False
        self.done = self.failures = 0
        self._not_before = self._noted_at = 0.0

    def is_ready(self) -> bool:
        """Whether to take a turn now: it is due, and the pause after a failure is over."""
        return self.is_due and time.monotonic() >= self._not_before

    async def went_on(self, session: Session, done: int) -> None:
        """A turn has done so much, and there may be more."""
        self.done += done
        if self.noted is Noted.RUNNING:
            if time.monotonic() - self._noted_at > NOTE_SECONDS:
                await session.fetch("job_progress", self.job.name, self.done)
                self._noted_at = time.monotonic()
        elif self.done:
            await session.fetch("job_started", self.job.name, await told(session, self._clock))
            self.noted, self._noted_at = Noted.RUNNING, time.monotonic()

    async def ended(self, session: Session) -> None:
        """Nothing is left to do until the job is due again."""
        self.is_due, self.failures = False, 0
        if self.noted is not Noted.DONE:
            await self._finish(session, None)
        self.noted, self.done = Noted.DONE, 0

    async def failed(self, session: Session, error: str) -> None:
        """The turn was refused: the job stays due, after a pause that grows with each failure."""
        self._not_before = time.monotonic() + pause_seconds(self.failures)
        self.failures += 1
        self.is_due = True
        await self._finish(session, error)
        self.noted, self.done = Noted.OUTDATED, 0

    async def _finish(self, session: Session, error: str | None) -> None:
        now = await told(session, self._clock)
        if self.noted is not Noted.RUNNING:
            await session.fetch("job_started", self.job.name, now)
        wait = timedelta(seconds=max(self.job.every_seconds, self._not_before - time.monotonic()))
        await session.fetch("job_finished", self.job.name, now, self.done, error, now + wait)


def pause_seconds(failures: int) -> float:
    """How long a job that has failed so often before is left alone."""
    return FAILURE_SECONDS_MAX if failures > 10 else min(FAILURE_SECONDS * 2.0**failures, FAILURE_SECONDS_MAX)
