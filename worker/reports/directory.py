"""Reports in a folder: a folder for each year, written beside and renamed, so that nobody ever sees half a file."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from worker.reports.storage import Document, Finding, Storage, StorageError

UNFINISHED = ".unfinished"
COMPRESSED = ".gz"
READABLE = 0o644


class Directory(Storage):
    """`directory:PATH`. The link is the file's `file:` address; whoever can read the folder can open it."""

    def __init__(self, path: str) -> None:
        self.name = f"directory:{path}"
        self._path = Path(path).absolute()

    async def reserve(self, count: int) -> Sequence[str]:
        """Names alone tell documents apart here."""
        return [str(uuid4()) for _ in range(count)]

    async def put(self, document: Document, content: AsyncIterator[bytes]) -> str:
        """Write it beside, flush it to the disk, and rename it."""
        target = self._path / f"{document.year:04}" / document.name
        temporary = target.with_name(f".{target.name}.{uuid4().hex[:8]}{UNFINISHED}")
        with self._translated():
            await asyncio.to_thread(_prepare, target)
            try:
                await _write(temporary, content)
                await asyncio.to_thread(_publish, temporary, target)
            finally:
                await asyncio.to_thread(temporary.unlink, missing_ok=True)
        return target.as_uri()

    async def check(self, *, with_trial: bool) -> Sequence[Finding]:
        """Whether the folder, or the one that it will be made in, can be written to; a trial writes a file there."""
        try:
            with self._translated():
                await asyncio.to_thread(self._try if with_trial else self._look)
        except StorageError as error:
            return [Finding("report folder", False, str(error))]
        return [Finding("report folder", True, f"{self._path} can be written")]

    async def close(self) -> None:
        """Nothing is held open."""

    def _look(self) -> Path:
        existing = next(folder for folder in (self._path, *self._path.parents) if folder.exists())
        if not existing.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(existing))
        if not os.access(existing, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(existing))
        return existing

    def _try(self) -> None:
        probe = self._look() / f".{uuid4().hex}{UNFINISHED}"
        try:
            probe.write_bytes(b"x")
        finally:
            probe.unlink(missing_ok=True)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise StorageError(
                "directory_not_writable",
                f"The report can't be written: {reason}. SEGMENTATION_REPORT_STORAGE must name a folder that the "
                "worker may write to, with enough room",
                is_permanent=False,
                detail=str(error.filename or self._path),
            ) from error


def _prepare(target: Path) -> None:
    """Make the folder, and remove what attempts that were killed have left of this document."""
    target.parent.mkdir(parents=True, exist_ok=True)
    for rest in target.parent.glob(f".{target.name}.*{UNFINISHED}"):
        rest.unlink(missing_ok=True)


async def _write(path: Path, content: AsyncIterator[bytes]) -> None:
    file = await asyncio.to_thread(path.open, "wb")
    try:
        async for piece in content:
            await asyncio.to_thread(file.write, piece)
        await asyncio.to_thread(_flush, file.fileno(), file.flush)
    finally:
        await asyncio.to_thread(file.close)


def _flush(descriptor: int, flush: object) -> None:
    assert callable(flush)
    flush()
    os.fchmod(descriptor, READABLE)
    os.fsync(descriptor)


def _publish(temporary: Path, target: Path) -> None:
    temporary.replace(target)
    other = target.name.removesuffix(COMPRESSED) if target.name.endswith(COMPRESSED) else target.name + COMPRESSED
    target.with_name(other).unlink(missing_ok=True)  # the month's report from when it was smaller, or larger
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
