"""Every storage of the project in a place of its own, with the eyes of a stranger who has a link."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests.integration.reports.drives import opened, reports
from tests.support.drive import drive_server
from worker.reports.directory import Directory
from worker.reports.storage import Document, Storage


@dataclass(frozen=True)
class Place:
    """A storage and what can be seen of it from outside."""

    storage: Storage
    read: Callable[[str], bytes | None]
    """What a stranger gets who opens the link; None if nothing."""
    names: Callable[[], list[str]]
    """All that lies there, as `year/name`, sorted."""


@asynccontextmanager
async def drive_place(folder: Path) -> AsyncIterator[Place]:
    """A folder in a shared drive."""
    with drive_server(folder) as local:
        top = reports(local)

        def read(link: str) -> bytes | None:
            file_id = link.split("/")[-2]
            try:
                with urllib.request.urlopen(f"{local.endpoint}/uc?id={file_id}&export=download", timeout=10) as answer:
                    return bytes(answer.read())
            except urllib.error.HTTPError:
                return None

        def names() -> list[str]:
            world = local.world
            kept = [file for file in world.files.values() if file.parents and not world.is_trashed(file)]
            files = [file for file in kept if file.parents != [top.id]]
            return sorted(f"{world.files[file.parents[0]].name}/{file.name}" for file in files)

        async with opened(local, top) as drive:
            yield Place(drive, read, names)


@asynccontextmanager
async def directory_place(folder: Path) -> AsyncIterator[Place]:
    """A folder of this machine."""
    top = folder / "a folder"

    def read(link: str) -> bytes | None:
        path = Path(urllib.request.url2pathname(urlsplit(link).path))
        return path.read_bytes() if path.stat().st_mode & 0o004 else None

    def names() -> list[str]:
        return sorted(str(path.relative_to(top)) for path in top.rglob("*") if path.is_file())

    yield Place(Directory(str(top)), read, names)


STORAGES: Mapping[str, Callable[[Path], AbstractAsyncContextManager[Place]]] = {
    "directory": directory_place,
    "drive": drive_place,
}
"""A new storage is tested by its line here."""


async def stranger(place: Place, link: str) -> bytes | None:
    """Read, without standing in the storage's way."""
    return await asyncio.to_thread(place.read, link)


def document(document_id: str, name: str = "2026-10.csv", year: int = 2026) -> Document:
    """Of which only the id and the name matter."""
    return Document(document_id, year, name, "text/csv", f"The report {name}")


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    """The parts, one by one, with a look at the event loop in between."""
    for part in parts:
        await asyncio.sleep(0)
        yield part
