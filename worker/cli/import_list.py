"""`import` and `imports`: a list of users from a file into a segment, and what became of all lists."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from rich.box import SIMPLE_HEAD
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from schemas.encode import encode_data
from schemas.topics import Topic
from schemas.values import IMPORT_USERS_MAX
from worker.cli.ahead import ahead
from worker.cli.console import complain, err, out, plain, show, write
from worker.cli.decided import APPLIED, Decided
from worker.cli.import_cell import Row
from worker.cli.import_file import rows
from worker.cli.render import line, local_time
from worker.cli.sender import Prepared, Sender, make
from worker.cli.tail import Tail, is_caused, tail
from worker.errors import ConfigurationError, Unavailable
from worker.postgres.session import Database, Record, Session
from worker.settings import Settings, load

SOURCE = "/segmentation/import"
PIECE_SHARE = 0.7
"""The share of the largest record that the ids of one may take: the envelope needs some, and so do escapes."""
LOOK_SECONDS = 0.5
REASONS_SHOWN = 5
LEFT_OUT = (
    ("unknown", "are not known", "--register takes them"),
    ("too_many_segments", "are in as many segments as a user may be", "see SEGMENTATION_SEGMENTS_OF_USER_MAX"),
)
"""Whom an import counts and leaves out: why, and what to do about it."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line says of an import."""

    segment: str
    file: str
    id: str
    mode: str
    ttl: str | None
    expires_at: str | None
    registers: bool
    column: str | None
    rejects: str | None
    waits: bool
    as_json: bool
    has_chosen_id: bool

    @property
    def opening(self) -> dict[str, Any]:
        """The data of `import.begin`."""
        given = {"ttl": self.ttl, "expires_at": self.expires_at}
        data = {"import": self.id, "segment": self.segment, "mode": self.mode}
        data |= {name: value for name, value in given.items() if value is not None}
        return data | ({"unknown_users": "register"} if self.registers else {})


@dataclass(slots=True)
class Rejects:
    """The rows that are no user ids: counted, the first ones kept, all of them written to a file if one is wanted."""

    file: TextIO | None
    count: int = 0
    first: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, row: Row) -> None:
        """Note one more."""
        self.count += 1
        if len(self.first) < REASONS_SHOWN:
            self.first.append(row)
        if self.file is not None:
            self.file.write(json.dumps(row._asdict(), ensure_ascii=False) + "\n")


async def load_list(wanted: Wanted) -> bool:
    """Send the file's user ids as an import; with `waits`, until all is applied. False where that failed.

    Each piece has an id of its own that follows from the import's, so that a second run with the same id and file
    repeats nothing and goes on where the first one was cut off.
    """
    settings = load()
    async with tail(settings, (Topic.IMPORT_EVENTS, Topic.REJECTIONS)) as reading, Sender(settings) as sender:
        session = Database(settings).session("import")
        try:
            if not await _begin(settings, sender, reading, wanted):
                return False
            if not wanted.has_chosen_id:
                err.print(
                    Text(f"import {plain(wanted.id)} has begun; interrupted, it goes on with --id {wanted.id}", "dim")
                )
            with _rejects(wanted) as rejects:
                sent = await _send(settings, sender, wanted, rejects)
                _summary(wanted, rejects, sent)
            await _commit(sender, wanted, sent)
            return not wanted.waits or await _outcome(session, wanted)
        finally:
            await session.close()


async def listing(*, as_json: bool) -> None:
    """Print every import that is remembered, with its progress."""
    session = Database(load()).session("imports")
    try:
        found = await session.fetch("imports_list", None)
    finally:
        await session.close()
    if as_json:
        for row in found:
            write(encode_data(dict(row) | {"segment_id": str(row["segment_id"])}).decode())
        return
    if not found:
        out.print("nothing was imported yet; `segmentation import SEGMENT FILE` does")
        return
    table = Table("import", "segment", "mode", "state", "began", "received", "applied", "changed", box=SIMPLE_HEAD)
    for row in found:
        changed = f"+{row['entered']:,} -{row['exited']:,} ~{row['renewed']:,}"
        cells = (
            row["import"],
            row["segment"],
            row["mode"],
            row["failure"] or row["state"],
            local_time(row["began_at"]),
        )
        table.add_row(*map(plain, cells), f"{row['received']:,}", f"{row['users']:,}", changed)
    show(table)


async def _begin(settings: Settings, sender: Sender, reading: Tail, wanted: Wanted) -> bool:
    """Open the import; True as soon as it is there, by this run or an earlier one that wanted the same."""
    command = make({"type": "import.begin", "data": wanted.opening, "id": f"{wanted.id}:begin"}, SOURCE)
    async with Decided(settings) as decided:
        before = await _decided(decided, command)
        if before:
            complain(f"rejected before: {before}; an import {plain(wanted.id)} is not begun again, choose another --id")
            return False
        if before == APPLIED:
            return True
        await sender.send(command)
        await sender.flush()
        while True:
            for event in await reading.poll():
                if is_caused(event, command.id, SOURCE) and event["type"].endswith("command.rejected.v1"):
                    err.print(line(event))
                    return False
            if await _decided(decided, command) == APPLIED:
                return True


async def _decided(decided: Decided, command: Prepared) -> str | None:
    """What became of the command; None: nothing yet."""
    found = (await decided.before([command])).get(command)
    if decided.problem is not None:
        raise Unavailable(decided.problem)
    return found


async def _send(settings: Settings, sender: Sender, wanted: Wanted, rejects: Rejects) -> int:
    """Send the user ids piece by piece; returns how many."""
    sent = 0
    with _open(wanted.file) as (file, size), _bar("reading", size) as (bar, task):
        number = 0
        async for piece in ahead(_pieces(file, wanted, rejects, settings.record_bytes_max)):
            number += 1
            data = {"import": wanted.id, "user_ids": piece}
            command = {"type": "import.users", "data": data, "id": f"{wanted.id}:{number}"}
            await sender.send(make(command, SOURCE, settings.record_bytes_max))
            sent += len(piece)
            bar.update(task, completed=_place(file), description=f"sent {sent:,} ids")
        await sender.flush()
    return sent


def _pieces(file: BinaryIO, wanted: Wanted, rejects: Rejects, record_bytes_max: int) -> Iterator[list[str]]:
    """Lists of ids, each of which fits into a record; the same for the same file."""
    piece: list[str] = []
    size, size_max = 0, int(record_bytes_max * PIECE_SHARE)
    for row in rows(file, wanted.file, wanted.column, rejects.notes.append):
        if row.reason is not None:
            rejects.add(row)
            continue
        weight = len(json.dumps(row.text)) + 1
        if piece and (len(piece) == IMPORT_USERS_MAX or size + weight > size_max):
            yield piece
            piece, size = [], 0
        piece.append(row.text)
        size += weight
    if piece:
        yield piece


async def _commit(sender: Sender, wanted: Wanted, sent: int) -> None:
    data = {"import": wanted.id, "users": sent}
    await sender.send(make({"type": "import.commit", "data": data, "id": f"{wanted.id}:commit"}, SOURCE))
    await sender.flush()


async def _outcome(session: Session, wanted: Wanted) -> bool:
    """Wait until the import has ended, and say how."""
    with _bar("applying", None) as (bar, task):
        while True:
            (row,) = await session.fetch("imports_list", wanted.id)
            if row["ended_at"] is not None:
                break
            bar.update(
                task, completed=row["users"], total=row["received"], description=f"applied {row['users']:,} users"
            )
            await asyncio.sleep(LOOK_SECONDS)
    if wanted.as_json:
        write(encode_data(dict(row) | {"segment_id": str(row["segment_id"])}).decode())
    else:
        _say(row)
    return bool(row["state"] == "completed")


def _say(row: Record) -> None:
    if row["state"] == "failed":
        complain(f"import {plain(row['import'])} has failed: {row['failure']}")
        return
    counts = ", ".join(f"{row[name]:,} {name}" for name in ("entered", "exited", "renewed", "unchanged", "registered"))
    out.print(Text.assemble((plain(row["segment"]), "bold magenta"), f"  {row['users']:,} users imported: {counts}"))
    for name, why, advice in LEFT_OUT:
        if row[name]:
            sample = ", ".join(map(plain, row[f"{name}_sample"][:REASONS_SHOWN]))
            out.print(Text(f"{row[name]:,} {why} and were left out, such as {sample}; {advice}"))


def _summary(wanted: Wanted, rejects: Rejects, sent: int) -> None:
    err.print(Text(f"import {plain(wanted.id)}: {sent:,} user ids sent, {rejects.count:,} rows left out", "dim"))
    for note in rejects.notes:
        err.print(Text(plain(note), "yellow"))
    for row in rejects.first:
        err.print(Text(f"row {row.number:,}: {plain(row.text)[:80]}: {row.reason}", "yellow"))
    if rejects.count > len(rejects.first):
        err.print(
            Text("… all of them: --rejects FILE" if wanted.rejects is None else f"… all of them: {wanted.rejects}")
        )


@contextlib.contextmanager
def _rejects(wanted: Wanted) -> Iterator[Rejects]:
    if wanted.rejects is None:
        yield Rejects(None)
        return
    try:
        with Path(wanted.rejects).open("w", encoding="utf-8") as file:
            yield Rejects(file)
    except OSError as error:
        raise ConfigurationError(f"--rejects: {wanted.rejects}: {error.strerror}") from error


@contextlib.contextmanager
def _open(name: str) -> Iterator[tuple[BinaryIO, int | None]]:
    if name == "-":
        # not Python's own, which a thread that reads must not hold when the interpreter ends
        yield io.BufferedReader(io.FileIO(sys.stdin.fileno(), closefd=False)), None
        return
    try:
        with Path(name).open("rb") as file:
            yield file, Path(name).stat().st_size
    except OSError as error:
        raise ConfigurationError(f"{name}: {error.strerror}") from error


def _place(file: BinaryIO) -> int | None:
    """How much of a file was read, bytes; None where that can't be told."""
    with contextlib.suppress(OSError, ValueError):
        return file.tell()
    return None


@contextlib.contextmanager
def _bar(description: str, total: int | None) -> Iterator[tuple[Progress, TaskID]]:
    """A bar for a person at a terminal; elsewhere nothing is shown."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(show_speed=True),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        yield bar, bar.add_task(description, total=total)
