"""The Drive storage, set up so that a test is over soon."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.support.drive import FOLDER, SERVICE, File, LocalDrive
from worker.reports.drive.requests import Pace
from worker.reports.drive.storage import Drive

CHUNK_BYTES = 512 * 1024
TRIES_MAX = 5
PACE = Pace(tries_max=TRIES_MAX, pause_seconds_min=0.001, pause_seconds_max=0.002, retry_after_seconds_max=0.002)


@asynccontextmanager
async def opened(local: LocalDrive, folder: File, **others: Any) -> AsyncIterator[Drive]:
    """A storage in the folder, closed at the end."""
    values: dict[str, Any] = {
        "credentials_file": local.credentials_file,
        "api_endpoint": local.endpoint,
        "chunk_bytes": CHUNK_BYTES,
        "request_seconds_max": 10.0,
        "pace": PACE,
    }
    drive = Drive(folder.id, **(values | others))
    try:
        yield drive
    finally:
        await drive.close()


def reports(local: LocalDrive, role: str = "fileOrganizer") -> File:
    """A shared drive in which the service account has this role."""
    return local.world.add_drive("Reports", **{SERVICE: role})


def inside(local: LocalDrive, top: File) -> list[File]:
    """All that lies below and is not in the trash."""
    world = local.world
    return [file for file in world.files.values() if top in world.line(file)[1:] and not world.is_trashed(file)]


def the_file(local: LocalDrive, top: File) -> File:
    """The one file that there is, in the one folder of its year, and readable for everybody."""
    found = inside(local, top)
    folders = [file for file in found if file.mime_type == FOLDER]
    files = [file for file in found if file.mime_type != FOLDER]
    assert [folder.name for folder in folders] == ["2026"]
    assert [file.parents for file in files] == [[folders[0].id]]
    assert local.world.is_public(files[0])
    return files[0]


def stranger_file(folder: Path, text: str) -> Path:
    """A file with anything in it."""
    path = folder / "stranger.json"
    path.write_text(text, encoding="utf-8")
    return path
