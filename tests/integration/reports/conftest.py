"""A local Drive, each storage in a place of its own, and a desk for reports."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from tests.integration.reports.desk import Desk
from tests.integration.reports.drives import opened, reports
from tests.integration.reports.places import STORAGES, Place
from tests.support.drive import File, LocalDrive, drive_server
from worker.postgres.session import Database
from worker.reports.drive.storage import Drive
from worker.settings import Settings


@pytest.fixture(params=STORAGES)
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """Each storage in turn."""
    async with STORAGES[request.param](tmp_path) as opened_place:
        yield opened_place


@pytest.fixture
def local(tmp_path: Path) -> Iterator[LocalDrive]:
    """A Drive of the test's own."""
    with drive_server(tmp_path) as server:
        yield server


@pytest.fixture
def top(local: LocalDrive) -> File:
    """The folder for the reports: a shared drive's."""
    return reports(local)


@pytest.fixture
async def drive(local: LocalDrive, top: File) -> AsyncIterator[Drive]:
    """The storage there."""
    async with opened(local, top) as storage:
        yield storage


@pytest.fixture
async def desk(settings: Settings, tmp_path: Path) -> AsyncIterator[Desk]:
    """The test's own."""
    session = Database(settings).session("test")
    sql = await asyncpg.connect(settings.database_url.get_secret_value())
    yield Desk(settings, session, sql, tmp_path / "reports")
    await session.close()
    await sql.close()
