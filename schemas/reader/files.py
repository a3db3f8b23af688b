"""The store's folder: who may use it, what must be in it, and what SQLite's errors mean."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path

from schemas.reader.errors import REBUILD, StoreError, StoreFormatError, StoreFullError, StoreInUseError

APPLICATION = 0x5345474D
FORMAT = 1
"""Raised by one with each change of the tables or of what stands in them."""
FILE = "memberships.sqlite"
LOCK = "lock.sqlite"
CHECKPOINT_PAGES = 8_000
"""The write-ahead log goes into the file when it has so many pages of 4 KiB."""
CACHE_KIB = 32 * 1024
MAPPED_BYTES_MAX = 4 * 1024**3
BUSY_SECONDS_MAX = 10

log = logging.getLogger(__name__)


@cache
def statement(name: str) -> str:
    """The text of `sql/<name>.sql`."""
    return files("schemas.reader").joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")


@contextlib.contextmanager
def translated(folder: Path) -> Iterator[None]:
    """SQLite's and the system's errors as ours."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"The folder {folder} can't be used: {error.strerror or error}") from error
    except sqlite3.Error as error:
        match getattr(error, "sqlite_errorcode", 0) & 0xFF:
            case sqlite3.SQLITE_FULL:
                raise StoreFullError(
                    f"There is no room for the store in {folder}: make room on the disk and hand the records over again"
                ) from error
            case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
                raise StoreInUseError(
                    f"The folder {folder} is open in another process or at another place in this one: each needs a "
                    "folder of its own"
                ) from error
            case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
                raise StoreFormatError(f"The store in {folder} is damaged ({error}): {REBUILD}") from error
            case _:
                raise StoreError(f"The store in {folder} can't be used: {error}") from error


def locked(folder: Path) -> sqlite3.Connection:
    """Makes the folder this one's own until the connection is closed or the process has ended, however it ends."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = sqlite3.connect(folder / LOCK, isolation_level=None, timeout=0, check_same_thread=False)
    try:
        lock.execute("pragma locking_mode = exclusive")
        lock.execute("begin exclusive")
    except BaseException:
        lock.close()
        raise
    return lock


def connected(folder: Path) -> sqlite3.Connection:
    """A connection for any thread, but one at a time."""
    connection = sqlite3.connect(
        folder / FILE, isolation_level=None, timeout=BUSY_SECONDS_MAX, check_same_thread=False, cached_statements=32
    )
    connection.execute(f"pragma mmap_size = {MAPPED_BYTES_MAX}")
    return connection


def writer(folder: Path, *, rebuild: bool) -> sqlite3.Connection:
    """The connection that writes, to a store of this format; one of an older format is made anew."""
    if rebuild:
        removed(folder)
    connection = _writer(folder)
    try:
        found = _format(connection, folder)
        if found == FORMAT:
            return connection
        if found is not None:
            log.warning("the store in %s has the older format %d and is read anew", folder, found)
            connection.close()
            removed(folder)
            connection = _writer(folder)
        _create(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def removed(folder: Path) -> None:
    """Nothing of the store is left but its lock."""
    for suffix in ("", "-wal", "-shm"):
        (folder / (FILE + suffix)).unlink(missing_ok=True)


def _writer(folder: Path) -> sqlite3.Connection:
    connection = connected(folder)
    try:
        connection.execute("pragma journal_mode = wal")
        connection.execute("pragma synchronous = normal")  # a power cut may take the last transactions, as wholes
        connection.execute(f"pragma wal_autocheckpoint = {CHECKPOINT_PAGES}")
        connection.execute(f"pragma journal_size_limit = {CHECKPOINT_PAGES * 4096}")
        connection.execute(f"pragma cache_size = -{CACHE_KIB}")
    except BaseException:
        connection.close()
        raise
    return connection


def _format(connection: sqlite3.Connection, folder: Path) -> int | None:
    """The store's format, None where there is no store yet."""
    (application,) = connection.execute("pragma application_id").fetchone()
    (found,) = connection.execute("pragma user_version").fetchone()
    (tables,) = connection.execute("pragma schema_version").fetchone()
    if not application and not tables:
        return None
    if application != APPLICATION:
        raise StoreFormatError(f"The file {folder / FILE} is another program's: name another folder")
    if found > FORMAT:
        raise StoreFormatError(
            f"The store in {folder} has the format {found} of a newer version, this one knows {FORMAT}: upgrade, or "
            f"{REBUILD}"
        )
    return int(found)


def _create(connection: sqlite3.Connection) -> None:
    text = statement("schema")
    connection.executescript(
        f"begin; {text}; pragma application_id = {APPLICATION}; pragma user_version = {FORMAT}; commit"
    )
