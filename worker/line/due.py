"""Commands whose time has come: decided in the order of their instants, by the handlers that decide all commands.

A turn is one transaction: the rows are taken and locked, decided as if their commands had arrived now, removed, and
what came of them is journaled. So the next leader goes on where this one stopped, and two at once do no harm: the
second waits for the rows of the first, and finds them gone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple
from uuid import UUID

from schemas.decode import Command, Refusal, refused
from schemas.rejections import FieldError, RejectionCode
from schemas.schedules import restored
from worker.errors import CommitUnknown, Outdated, Refused, WorkerError
from worker.line.apply import SEGMENTS_MAX, WAIT_SECONDS_MAX
from worker.line.batch import Batch, Received, ReceivedCommand, parts, sort
from worker.line.conclude import conclude, fail, reject
from worker.line.control import Control
from worker.line.handlers import HANDLERS, Context, TooMuch, begin
from worker.line.rounds import decide
from worker.line.trials import FAULTS, UNDECIDED, Failure, Trials, failures
from worker.observability import metrics
from worker.observability.mistakes import contained
from worker.postgres import locks
from worker.postgres.clock import Clock
from worker.postgres.session import Record, Session
from worker.settings import Settings

EXCLUSIVE = frozenset[str](name for name, handler in HANDLERS.items() if handler.is_exclusive)
BYTES_MAX = 8 * 1024 * 1024
"""Data of commands that one turn takes, bytes."""


class Suspect(NamedTuple):
    """The one command that fails alone, and how."""

    schedule_key: int
    batch: Batch
    fault: WorkerError


class Due:
    """Decides what is due, in turns; a command that fails is found by halving, and stops no other one."""

    def __init__(self, settings: Settings, *, clock: Clock, new_uuid: Callable[[], UUID]) -> None:
        self._settings, self._clock, self._new_uuid = settings, clock, new_uuid
        self._together: int | None = None
        """So many at most are decided together, after more of them have failed; None: as many as are asked for."""
        self._trials = Trials(is_alone=False)
        self._suspect: Suspect | None = None
        self._outdated = 0
        self._first: tuple[int, Batch] = 0, Batch((), ())
        """Of what was tried last: the key and the record."""

    async def turn(self, session: Session, rows_max: int) -> int | None:
        """Decide at most so many; returns how many, or None where nothing is due.

        Raises what the database answers where that is not, or not yet, a single command's fault.
        """
        rows = rows_max if self._together is None else min(self._together, rows_max)
        if self._suspect is not None and await self._judge(session, self._suspect):
            return 1
        began = time.monotonic()
        try:
            decided = await self._transact(session, rows)
        except CommitUnknown:
            raise
        except Outdated:
            self._outdated += 1
            return 0
        except TooMuch:
            self._halve(rows)
            return 0
        except FAULTS as fault:
            self._blame(fault, rows, time.monotonic() - began)
            return 0
        self._outdated = 0
        if self._together is not None:  # what went through is left behind: more of them again
            self._together = rows * 2 if rows * 2 < rows_max else None
            self._trials = Trials(is_alone=False)
        return decided

    def _halve(self, rows: int) -> None:
        self._together = max(1, rows // 2)
        self._trials = Trials(is_alone=self._together == 1)

    def _blame(self, fault: WorkerError, rows: int, seconds: float) -> None:
        """Fewer of them the next time, or the one is suspected; raises the fault while it may be the database's."""
        self._trials.count(fault, seconds)
        if not self._trials.suffice(fault):
            raise fault
        if rows > 1:
            self._halve(rows)
        else:
            self._suspect = Suspect(*self._first, fault)
            if not isinstance(fault, Refused):
                raise fault

    async def _judge(self, session: Session, suspect: Suspect) -> bool:
        """Reject the suspect, where harmless commands go through and it does not, twice in a row; whether it was."""
        self._suspect = None
        control = Control(session, self._clock, lambda now: self._context(session, now), self._new_uuid)
        is_well = await control.goes_through(suspect.batch, suspect.batch)
        self._trials.compare(is_well=is_well)
        if not is_well:
            raise suspect.fault
        if not self._trials.convict():
            return False
        for failure in failures(suspect.fault):
            try:
                return bool(await self._transact(session, 1, failure, suspect.schedule_key))
            except FAULTS as fault:
                if isinstance(fault, CommitUnknown) or failure.is_bare:
                    raise
        return False

    async def _transact(
        self, session: Session, rows: int, failure: Failure | None = None, only: int | None = None
    ) -> int | None:
        """Decide the first of what is due; with a failure reject it for that, if it still is the only one meant.

        Returns how many were decided, 0 where another leader or a cancelling command came first; None: nothing is due.
        """
        waiting = await session.fetch("schedule_next", self._clock(), rows)
        metrics.SCHEDULE_OVERDUE_SECONDS.set(max((row["overdue_seconds"] for row in waiting), default=0))
        if not waiting:
            return None
        is_exclusive = any(row["command_type"] in EXCLUSIVE for row in waiting)
        async with session.transaction():
            now = await locks.structure(session, self._clock, is_exclusive=is_exclusive)
            context = self._context(session, now)
            found = await session.fetch("schedule_take", now, rows, BYTES_MAX)
            taken = [(row, self._received(row)) for row in _allowed(found, is_exclusive=is_exclusive)]
            batch = next(parts(Batch(tuple(record for _, record in taken), ()), SEGMENTS_MAX))
            taken = taken[: len(batch.records)]
            keys = [row["schedule_key"] for row, _ in taken]
            if only is not None and keys[:1] != [only]:
                return 0
            with contained(UNDECIDED):
                if keys:
                    self._first = keys[0], Batch(batch.records[:1], ())
                    await self._decide(context, taken, failure)
                await session.fetch("schedule_remove", keys, [row["user_id"] for row, _ in taken] or None)
                await conclude(context, self._clock, timedelta(seconds=WAIT_SECONDS_MAX * (self._outdated + 1)))
        for (command_type, result), count in context.counts.items():
            metrics.COMMANDS.labels(command_type, result).inc(count)
        return len(keys)

    async def _decide(
        self, context: Context, taken: Sequence[tuple[Record, Received]], failure: Failure | None
    ) -> None:
        unreadable_ones, _, commands = sort([record for _, record in taken])
        reject(context, unreadable_ones, failure)
        if failure is not None:
            fail(context, commands, failure)
            return
        for is_late, several in groupby(_judged(taken), itemgetter(0)):
            part = [command for _, command in several]
            if is_late:
                for command in part:
                    _refuse(context, command)
                continue
            for run in in_order(part):
                await decide(context, run)

    def _context(self, session: Session, now: datetime) -> Context:
        return begin(session, self._settings, now, self._new_uuid)

    def _received(self, row: Record) -> Received:
        """The record as it came, as far as it was kept."""
        command: Command[Any] = Command(
            row["command_type"],
            row["command_id"],
            row["command_source"],
            row["time"],
            row["correlation_id"],
            None,
            row["traceparent"],
            None,
            0,
            row["effective_at"],
        )
        try:
            what: Command[Any] | Refusal = command._replace(data=restored(command.type, row["data"]))
        except (ValueError, KeyError) as error:
            message = f"It was scheduled by another version of the worker, which this one does not understand: {error}"
            what = refused(command, RejectionCode.FAILED, message)
        place = row["topic"], row["partition"], row["record_offset"], row["record_key"]
        return Received(*place, row["record"], row["record_bytes"], what)


def in_order(records: Sequence[ReceivedCommand[Any]]) -> Iterator[list[ReceivedCommand[Any]]]:
    """The commands in runs of which rounds keep the order: they decide segment commands before all others."""
    run: list[ReceivedCommand[Any]] = []
    for record in records:
        if run and _is_of_segments(record) and not _is_of_segments(run[-1]):
            yield run
            run = []
        run.append(record)
    if run:
        yield run


def _judged(taken: Sequence[tuple[Record, Received]]) -> Iterator[tuple[bool, ReceivedCommand[Any]]]:
    """The commands in their order, and whether each is too late: its user was forgotten before, perhaps by another."""
    forgotten: set[str] = set()
    for row, record in taken:
        for command in sort([record]).commands:
            is_late = row["is_forgotten"] or row["user_id"] in forgotten
            yield is_late, command
            if not is_late and command.what.type == "user.forget":
                forgotten.add(row["user_id"])


def _refuse(context: Context, record: ReceivedCommand[Any]) -> None:
    message = (
        f"User {record.what.data.user_id!r} was forgotten before the command took effect, and with the user "
        "whatever was scheduled by then; nothing of it was applied."
    )
    errors = [FieldError("data.user_id", "user was forgotten after the command was scheduled")]
    context.refuse(record, RejectionCode.USER_NOT_FOUND, message, errors)


def _is_of_segments(record: ReceivedCommand[Any]) -> bool:
    return HANDLERS[record.what.type].is_of_segments


def _allowed(rows: Sequence[Record], *, is_exclusive: bool) -> Iterator[Record]:
    """The first rows, as far as the lock that was taken allows: others may have come since it was chosen."""
    for row in rows:
        if not is_exclusive and row["command_type"] in EXCLUSIVE and not row["is_forgotten"]:
            return
        yield row
