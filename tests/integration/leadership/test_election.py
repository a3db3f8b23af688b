"""Elections over PostgreSQL's lock: who waits keeps the session that it waits with."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.events import rows
from worker.leadership import election
from worker.leadership.election import Elected
from worker.observability.progress import Progress
from worker.postgres import locks
from worker.postgres.session import Database, Session
from worker.settings import Settings

TRIES = 5
SECONDS_MAX = 30


class Waiting(Elected):
    """Leads until it is told to stop."""

    role = locks.Role.JOBS

    def __init__(self, name: str, database: Database) -> None:
        self.name = name
        super().__init__(database, Progress(60))
        self.leads = asyncio.Event()

    async def lead(self, session: Session) -> None:
        self.leads.set()
        await self.leading(self.stopping.wait())


async def test_who_waits_does_not_connect_anew(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """And leads as soon as it has the lock."""
    monkeypatch.setattr(election, "ELECTION_SECONDS", 0.01)
    tries = {"first": 0, "second": 0}
    enough = asyncio.Event()
    fetch = Session.fetch

    async def noted(session: Session, name: str, *arguments: Any) -> Any:
        if name == "election_try":
            tries[session._name] += 1
            if tries["second"] >= TRIES:
                enough.set()
        return await fetch(session, name, *arguments)

    monkeypatch.setattr(Session, "fetch", noted)
    database = Database(settings)
    first, second = Waiting("first", database), Waiting("second", database)
    async with asyncio.timeout(SECONDS_MAX), asyncio.TaskGroup() as group:
        group.create_task(first.run())
        await first.leads.wait()
        group.create_task(second.run())
        while tries["second"] < 2:
            await asyncio.sleep(0)
        before = await _sessions(settings)
        await enough.wait()
        assert await _sessions(settings) == before
        assert not second.leads.is_set()
        first.stopping.set()
        await second.leads.wait()
        second.stopping.set()
    assert tries["first"] == 1


async def _sessions(settings: Settings) -> list[dict[str, object]]:
    return await rows(
        settings,
        "select application_name, pid from pg_stat_activity where datname = current_database() "
        "and application_name like 'segmentation %' order by 1",
    )
