"""`import`: a list of users from a file into a segment, told from its beginning to what came of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from schemas.topics import Topic
from worker.cli import import_told as told
from worker.cli.ahead import ahead
from worker.cli.console import complain, err, plain, write
from worker.cli.decided import APPLIED, REUSED, Decided
from worker.cli.import_input import Source, opened
from worker.cli.import_pieces import Pieces, Rejected
from worker.cli.render import local_time
from worker.cli.sender import Prepared, Sender
from worker.cli.silence import Silence
from worker.cli.tail import tail
from worker.errors import ConfigurationError, WorkerError
from worker.postgres.session import Database, Record, Session
from worker.settings import load

LOOK_SECONDS = 0.5
NOT_APPLIED_YET = "the workers apply one list after the other, at least one has to run; see `segmentation jobs`"


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
    allows_empty: bool
    waits: bool
    wait_seconds: float | None
    as_json: bool
    has_chosen_id: bool

    @property
    def opening(self) -> dict[str, Any]:
        """The data of `import.begin`."""
        given = {"ttl": self.ttl, "expires_at": self.expires_at}
        data = {"import": self.id, "segment": self.segment, "mode": self.mode}
        data |= {name: value for name, value in given.items() if value is not None}
        return data | ({"unknown_users": "register"} if self.registers else {})


class Stage(Enum):
    """How far an import has come by this command: what is left of it when the command ends."""

    NOTHING = auto()
    BEGUN = auto()
    COMMITTED = auto()


async def load_list(wanted: Wanted) -> bool:
    """Send the file's user ids as an import; with `waits`, until all is applied. False where that failed.

    Nothing is begun before the file's first ids are there. Each piece has an id of its own that follows from the
    import's, so that a second run with the same id and file repeats nothing and goes on where the first one was cut
    off; and the list is committed when each piece was taken as it was sent, never with one of another file among them.
    """
    settings = load()
    with opened(wanted.file, wanted.rejects) as source:
        if source.is_typed:
            err.print(Text("type or paste user ids, one a line; Ctrl-D ends the list, Ctrl-C drops it", "dim"))
        pieces = ahead(source.pieces(wanted.column, settings.record_bytes_max))
        first = await anext(pieces, None)
        if first is None and not wanted.allows_empty:
            told.left_out(source.rejects, wanted.rejects)
            told.emptiness(wanted.segment, wanted.mode, source.rejects)
            return False
        session = Database(settings).session("import")
        try:
            async with (
                tail(settings, (Topic.IMPORT_EVENTS, Topic.REJECTIONS)) as reading,
                Decided(settings) as decided,
                Sender(settings) as sender,
            ):
                sending = Pieces(settings, sender, reading, decided, wanted.wait_seconds)
                return await Run(wanted, source, sending, session).run(_again(first, pieces))
        finally:
            await session.close()


class Run:
    """One run of `import`."""

    def __init__(self, wanted: Wanted, source: Source, sending: Pieces, session: Session) -> None:
        self._wanted, self._source, self._sending, self._session = wanted, source, sending, session
        self._stage = Stage.NOTHING

    async def run(self, pieces: AsyncIterator[list[str]]) -> bool:
        """From begin to end; whatever ends it before, a person is told how the import goes on."""
        try:
            return await self._whole(pieces)
        except (WorkerError, asyncio.CancelledError) as error:
            if self._stage is Stage.NOTHING:
                raise
            if isinstance(error, WorkerError):
                complain(str(error))
            about = told.staying if self._stage is Stage.BEGUN else told.committed
            err.print(Text(about(self._wanted.id)))
            if isinstance(error, WorkerError):
                return False
            raise

    async def _whole(self, pieces: AsyncIterator[list[str]]) -> bool:
        begin = self._sending.make("import.begin", self._wanted.opening, "begin")
        before = await self._sending.before(begin)
        if before is None:
            return await self._begin_and_send(begin, pieces)
        if before != APPLIED:
            return self._refuse(
                f"{before}: an import {self._wanted.id} was begun before with other options; choose another --id"
                if before == REUSED
                else f"rejected before: {before}; an import {self._wanted.id} is not begun again, choose another --id"
            )
        row = await self._row()
        if row is None or row["state"] == "failed":
            why = "is no longer known" if row is None else f"has failed before, {row['failure']}"
            return self._refuse(f"import {self._wanted.id} {why}: nothing was sent, choose another --id")
        if row["state"] == "open":
            self._stage = Stage.BEGUN
            return await self._send(pieces, is_resumed=True)
        return await self._compare(pieces, row)

    async def _begin_and_send(self, begin: Prepared, pieces: AsyncIterator[list[str]]) -> bool:
        self._stage = Stage.BEGUN
        try:
            await self._sending.send(begin)
            await self._sending.settle()
        except Rejected as rejected:
            return False if rejected.is_told else self._refuse(str(rejected))
        if not self._wanted.has_chosen_id:
            name = plain(self._wanted.id)
            err.print(Text(f"import {name} has begun; interrupted, it goes on with --id {name}", "dim"))
        return await self._send(pieces, is_resumed=False)

    async def _send(self, pieces: AsyncIterator[list[str]], *, is_resumed: bool) -> bool:
        """Send what was not sent before, and commit it all."""
        try:
            sent, before = await self._send_pieces(pieces, is_resumed=is_resumed)
            told.summary(self._wanted.id, self._source.rejects, self._wanted.rejects, sent, before)
            await self._sending.settle()
            self._stage = Stage.COMMITTED
            await self._sending.send(self._commit(sent))
            await self._sending.settle()
        except Rejected as rejected:
            return self._refuse(_mixed(self._wanted.id, rejected))
        row = await self._row()
        if self._wanted.waits or row is None or row["state"] == "failed":
            return await self._outcome()
        return True

    async def _send_pieces(self, pieces: AsyncIterator[list[str]], *, is_resumed: bool) -> tuple[int, int]:
        """Returns how many ids were sent, and how many of them by an earlier run."""
        number = sent = before = 0
        with _bar("reading", self._source.size) as (bar, task):
            async for piece in pieces:
                number += 1
                command = self._piece(number, piece)
                outcome = await self._sending.before(command) if is_resumed else None
                if outcome is None:
                    await self._sending.send(command)
                elif outcome == APPLIED:
                    before += len(piece)
                else:
                    raise Rejected(command.id, outcome)
                sent += len(piece)
                bar.update(task, completed=self._source.place(), description=f"sent {sent:,} ids")
        return sent, before

    async def _compare(self, pieces: AsyncIterator[list[str]], row: Record) -> bool:
        """Of an import that is closed: whether it was the same list; nothing is sent."""
        at, is_ended = local_time(row["ended_at"] or row["committed_at"]), row["ended_at"] is not None
        when = f"was {'completed' if is_ended else 'committed'} before, at {at}"
        number = sent = 0
        is_same = True
        async for piece in pieces:
            number, sent = number + 1, sent + len(piece)
            is_same = await self._sending.before(self._piece(number, piece)) == APPLIED
            if not is_same:
                break
        if not is_same or await self._sending.before(self._commit(sent)) != APPLIED:
            return self._refuse(
                f"import {self._wanted.id} {when}, with another list than this, or too long ago to be compared: "
                "nothing was sent, choose another --id"
            )
        err.print(Text(f"import {plain(self._wanted.id)} {when}, with this list; nothing was sent"))
        self._stage = Stage.COMMITTED
        return not self._wanted.waits or await self._outcome()

    def _piece(self, number: int, piece: list[str]) -> Prepared:
        return self._sending.make("import.users", {"import": self._wanted.id, "user_ids": piece}, str(number))

    def _commit(self, sent: int) -> Prepared:
        return self._sending.make("import.commit", {"import": self._wanted.id, "users": sent}, "commit")

    async def _row(self) -> Record | None:
        rows = await self._session.fetch("imports_list", self._wanted.id)
        return rows[0] if rows else None

    async def _outcome(self) -> bool:
        """Wait until the import has ended, and say how."""
        silence = Silence("progress", NOT_APPLIED_YET, self._wanted.wait_seconds)
        progress = None
        with _bar("applying", None) as (bar, task):
            while True:
                row = await self._row()
                if row is None:
                    raise ConfigurationError(f"import {self._wanted.id} is no longer known")
                if row["ended_at"] is not None:
                    break
                if progress != (progress := (row["state"], row["users"], row["left_share"])):
                    silence.heard()
                silence.check()
                said = f"applied {row['users']:,} users"
                bar.update(task, completed=row["users"], total=row["received"], description=said)
                await asyncio.sleep(LOOK_SECONDS)
        if self._wanted.as_json:
            write(told.document(row))
        else:
            told.outcome(row)
        return bool(row["state"] == "completed")

    def _refuse(self, why: str) -> bool:
        complain(why)
        return False


def _mixed(name: str, rejected: Rejected) -> str:
    """Why a list is not committed, or its commit was not taken, and what to do."""
    if rejected.code == REUSED:
        why = f"{rejected}: under this id another list was sent before, or this one before it was changed"
    else:
        why = f"{rejected}: `segmentation imports` says what became of the import"
    return (
        f"{why}. This list was not committed: drop the import, `segmentation imports --cancel {name}`, "
        "and import the file under another --id"
    )


async def _again(first: list[str] | None, rest: AsyncIterator[list[str]]) -> AsyncIterator[list[str]]:
    """All pieces, the one that was looked at first included."""
    if first is not None:
        yield first
    async for piece in rest:
        yield piece


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
