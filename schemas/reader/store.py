"""The embedded store: users' memberships and how far the topics were read, in one transaction.

One thread writes at a time; any number read beside it, each lookup from a connection that is idle.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from schemas.reader.errors import StoreError
from schemas.reader.files import connected, locked, statement, translated, writer
from schemas.reader.fold import Fold
from schemas.reader.names import Names
from schemas.reader.records import Partition


@dataclass(frozen=True, slots=True)
class Place:
    """How far a partition was read: the record before `next_offset`, and what tells it from another."""

    next_offset: int
    last_offset: int
    fingerprint: bytes
    sequence: int


class Store:
    """Open from construction to `close`; raises StoreError and StoreFormatError."""

    def __init__(self, folder: Path, *, rebuild: bool = False) -> None:
        self.folder = folder
        self._idle: list[sqlite3.Connection] = []
        self._closing = threading.Lock()
        self._is_closed = False
        with translated(folder), contextlib.ExitStack() as opened:
            self._lock = opened.enter_context(contextlib.closing(locked(folder)))
            self._writer = opened.enter_context(contextlib.closing(writer(folder, rebuild=rebuild)))
            self._user_read = statement("user_read")
            self._load()
            opened.pop_all()

    def _load(self) -> None:
        """What is kept in memory, as the file has it."""
        write = self._writer.execute
        self.names = Names(write(statement("segments_read")), write(statement("origins_read")))
        self.places: dict[Partition, Place] = {
            (topic, partition): Place(*place)
            for topic, partition, *place in write(statement("positions_read")).fetchall()
        }
        (self.read_at,) = write(statement("progress_read")).fetchone()

    def user(self, user_id: str) -> tuple[int, bytes, int] | None:
        """The sequence and packed memberships of a user, and who told them; for any thread."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._connect()
        try:
            row: tuple[int, bytes, int] | None = connection.execute(self._user_read, (user_id,)).fetchone()
        except UnicodeEncodeError:  # half of a surrogate pair, which no user's id holds
            row = None
        except sqlite3.Error:
            connection.close()
            with translated(self.folder):
                raise
        self._idle.append(connection)
        if self._is_closed:
            self._close_idle()
        return row

    def stored(self, user_id: str) -> tuple[int, bytes, int] | None:
        """As `user`, for the one who writes."""
        row: tuple[int, bytes, int] | None = self._writer.execute(self._user_read, (user_id,)).fetchone()
        return row

    def write(self, fold: Fold, places: Mapping[Partition, Place], now: int) -> None:
        """All of it or nothing."""
        with self._transaction() as connection:
            connection.executemany(statement("segment_write"), self.names.new_segments)
            connection.executemany(statement("origin_write"), self.names.new_origins)
            kept = [(user, *row) for user, row in fold.rows.items() if row[1] is not None]
            gone = [(user, row[0], row[2]) for user, row in fold.rows.items() if row[1] is None]
            connection.executemany(statement("user_write"), kept)
            connection.executemany(statement("user_delete"), gone)
            connection.executemany(
                statement("position_write"),
                [
                    (*partition, place.next_offset, place.last_offset, place.fingerprint, place.sequence)
                    for partition, place in places.items()
                ],
            )
            connection.execute(statement("progress_write"), (now,))
        self.names.keep()
        self.places.update(places)
        self.read_at = now

    def empty(self) -> None:
        """Forget all that was read, but for names, since somebody may be looking at them."""
        with translated(self.folder):
            self._require_open()
            try:
                self._writer.executescript(statement("empty"))
            finally:
                if self._writer.in_transaction:
                    self._writer.execute("rollback")
        self.places = {}
        self.read_at = 0

    def close(self) -> None:
        """Nothing can be looked up or written after that; another process may open the folder."""
        with self._closing:
            if self._is_closed:
                return
            self._is_closed = True
        self._close_idle()
        self._writer.close()
        self._lock.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with translated(self.folder):
            self._require_open()
            self._writer.execute("begin immediate")
            try:
                yield self._writer
                self._writer.execute("commit")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("rollback")
                raise

    def _connect(self) -> sqlite3.Connection:
        self._require_open()
        with translated(self.folder):
            return connected(self.folder)

    def _require_open(self) -> None:
        if self._is_closed:
            raise StoreError(f"The store in {self.folder} is closed")

    def _close_idle(self) -> None:
        with contextlib.suppress(IndexError):
            while True:
                self._idle.pop().close()
