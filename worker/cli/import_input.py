"""What `import` reads, and the file that it writes for rows that are no user ids: opened before anything is begun."""

from __future__ import annotations

import contextlib
import io
import json
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TextIO

from schemas.values import IMPORT_USERS_MAX
from worker.cli.import_cell import Row
from worker.cli.import_file import rows
from worker.errors import ConfigurationError

PIECE_SHARE = 0.7
"""The share of the largest record that the ids of one may take: the envelope needs some, and so do escapes."""
REASONS_SHOWN = 5


class Rejects:
    """The rows that are no user ids: counted, the first ones kept, all of them written to a file if one is wanted.

    What the file held before goes when the list is known to be readable: with the first of these rows, or at its end.
    """

    def __init__(self, file: TextIO | None = None) -> None:
        self._file, self._is_begun = file, False
        self.count = 0
        self.first: list[Row] = []
        self.notes: list[str] = []
        """What a person should look at in the rows that were taken."""

    def add(self, row: Row) -> None:
        """Note one more."""
        self.count += 1
        if len(self.first) < REASONS_SHOWN:
            self.first.append(row)
        self._write(json.dumps(row._asdict(), ensure_ascii=False) + "\n")

    def end(self) -> None:
        """There are no more."""
        self._write("")
        if self._file is not None:
            with explained(f"--rejects: {self._file.name}"):
                self._file.flush()

    def _write(self, text: str) -> None:
        if self._file is None:
            return
        with explained(f"--rejects: {self._file.name}"):
            if not self._is_begun and stat.S_ISREG(os.fstat(self._file.fileno()).st_mode):
                self._file.truncate(0)
            self._is_begun = True
            self._file.write(text)


class Source:
    """An open list."""

    def __init__(self, file: BinaryIO, name: str, size: int | None, rejects: Rejects) -> None:
        self._file, self._name = file, name
        self.size, self.rejects = size, rejects

    @property
    def is_typed(self) -> bool:
        """Whether a person is to type it, who may have forgotten to name a file."""
        return self._file.isatty()

    def pieces(self, column: str | None, record_bytes_max: int) -> Iterator[list[str]]:
        """Lists of ids, each of which fits into a record; the same for the same file. Raises ConfigurationError."""
        with explained(self._name):
            yield from self._pieces(column, int(record_bytes_max * PIECE_SHARE))
        self.rejects.end()

    def place(self) -> int | None:
        """How much of a file was read, bytes; None where that can't be told, nor asked without waiting."""
        if self.size is not None:
            with contextlib.suppress(OSError, ValueError):
                return self._file.tell()
        return None

    def _pieces(self, column: str | None, size_max: int) -> Iterator[list[str]]:
        piece: list[str] = []
        size = 0
        for row in rows(self._file, self._name, column, self.rejects.notes.append):
            if row.reason is not None:
                self.rejects.add(row)
                continue
            weight = len(json.dumps(row.text)) + 1
            if piece and (len(piece) == IMPORT_USERS_MAX or size + weight > size_max):
                yield piece
                piece, size = [], 0
            piece.append(row.text)
            size += weight
        if piece:
            yield piece


@contextlib.contextmanager
def opened(name: str, rejects: str | None) -> Iterator[Source]:
    """Open the list, `-` for standard input, and then the file for rejects. Raises ConfigurationError."""
    with contextlib.ExitStack() as stack:
        file, size = _input(stack, name)
        if rejects is None:
            yield Source(file, name, size, Rejects())
            return
        with explained(f"--rejects: {rejects}"):
            if _is_same(file, rejects):
                raise ConfigurationError(f"--rejects: {rejects} is the list itself; name another file")
            # not truncated yet, and closed without a word: what could not be written was said when it was
            out = Path(rejects).open("a", encoding="utf-8")  # noqa: SIM115
        stack.enter_context(contextlib.suppress(OSError))
        stack.callback(out.close)
        yield Source(file, name, size, Rejects(out))


@contextlib.contextmanager
def explained(name: str) -> Iterator[None]:
    """What goes wrong with a file, as a sentence that names it."""
    try:
        yield
    except OSError as error:
        raise ConfigurationError(f"{name}: {error.strerror or error}") from error


def _input(stack: contextlib.ExitStack, name: str) -> tuple[BinaryIO, int | None]:
    """The descriptor is ours to close: not Python's, whose own objects a thread that reads must not hold at the end."""
    with explained(name):
        number = sys.stdin.fileno() if name == "-" else os.open(name, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        file = io.BufferedReader(io.FileIO(number, closefd=False))
    status = os.fstat(number)
    if not stat.S_ISREG(status.st_mode):
        return file, None  # and not closed: a thread may be waiting for more of it
    if name != "-":
        stack.callback(os.close, number)
    return file, status.st_size


def _is_same(file: BinaryIO, rejects: str) -> bool:
    try:
        there = Path(rejects).stat()
    except FileNotFoundError:
        return False
    return stat.S_ISREG(there.st_mode) and os.path.samestat(os.fstat(file.fileno()), there)
