"""What job_runs is told of a job: no more than what changes what it says."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import pytest

from worker.jobs import run as running
from worker.jobs.job import Job
from worker.jobs.run import Noted, Run
from worker.postgres.clock import server_clock
from worker.postgres.session import Session


class Idle(Job):
    name = "idle"
    every_seconds = 60.0
    journals = False

    async def turn(self, session: Session) -> int | None:
        return None


class Told:
    """A session that keeps what it was told to run."""

    def __init__(self) -> None:
        self.names: list[str] = []

    async def fetch(self, name: str, *_: Any) -> None:
        self.names.append(name.removeprefix("job_"))


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    async def noon(*_: Any) -> Any:
        return datetime(2026, 1, 1, tzinfo=UTC)

    monkeypatch.setattr(running, "told", noon)
    return Told()


@pytest.fixture
def run() -> Run:
    made = Run(Idle(server_clock), server_clock)
    made.is_due = True
    return made


async def test_the_first_end_is_written_and_no_other_that_found_nothing(told: Told, run: Run) -> None:
    """What the table says may be of another leader."""
    for _ in range(3):
        await run.ended(cast(Session, told))
    assert told.names == ["started", "finished"]
    assert (run.noted, run.is_due) == (Noted.DONE, False)


async def test_what_does_something_is_written_as_running(told: Told, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    session = cast(Session, told)
    await run.ended(session)
    told.names.clear()
    for done in (0, 2, 0, 1):
        await run.went_on(session, done)
    assert (told.names, run.noted, run.done) == (["started"], Noted.RUNNING, 3)
    monkeypatch.setattr(running, "NOTE_SECONDS", -1.0)
    await run.went_on(session, 1)
    await run.ended(session)
    assert told.names == ["started", "progress", "finished"]
    assert (run.noted, run.done) == (Noted.DONE, 0)


async def test_a_failure_is_written_and_the_end_after_it(told: Told, run: Run) -> None:
    """The end says that the failure is over; until its pause is over the job is due, but not ready."""
    session = cast(Session, told)
    await run.ended(session)
    told.names.clear()
    await run.failed(session, "no")
    assert (run.noted, run.is_due, run.is_ready(), run.failures) == (Noted.OUTDATED, True, False, 1)
    await run.ended(session)
    assert told.names == ["started", "finished"] * 2
    assert (run.noted, run.failures) == (Noted.DONE, 0)


async def test_a_failure_in_the_middle_ends_the_run(told: Told, run: Run) -> None:
    session = cast(Session, told)
    await run.went_on(session, 5)
    await run.failed(session, "no")
    assert told.names == ["started", "finished"]
    assert (run.noted, run.done) == (Noted.OUTDATED, 0)
