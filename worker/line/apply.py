"""Applies batches: one transaction that claims positions, decides every command, and appends what came of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from schemas.commands import MembershipQuery
from schemas.decode import Command, Refusal, refused, untimely
from schemas.rejections import FieldError, RejectionCode
from schemas.times import rfc3339
from schemas.topics import may_be_replied_to
from schemas.values import shown
from worker.errors import CommitUnknown, Fenced, Refused, WorkerError
from worker.line import handlers, names
from worker.line.batch import Batch, ReceivedCommand, Span, halves, parts, sort
from worker.line.conclude import conclude, fail, reject
from worker.line.control import Control
from worker.line.handlers import TooMuch
from worker.line.rounds import decide
from worker.line.trials import FAULTS, UNDECIDED, Failure, Trials, failures
from worker.observability import metrics
from worker.observability.logs import logger
from worker.observability.mistakes import contained
from worker.postgres import locks
from worker.postgres.clock import Clock, judged
from worker.postgres.session import Session
from worker.settings import Settings

log = logger(__name__)

SEGMENTS_MAX = 50_000
"""Segments in membership commands that one transaction adds or removes; a command has at most 1,000."""
WAIT_SECONDS_MAX = 0.5
"""A batch that waited longer for locks is decided anew where a membership that it counted as active is over by now; so
much longer with each try."""
Query = ReceivedCommand[MembershipQuery]


@dataclass(slots=True)
class Outcome:
    """The result of a batch: the queries to be answered now, and how many commands of each type had which outcome."""

    queries: list[Query] = field(default_factory=list)
    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    journaled: int = 0
    last_sequence: int | None = None
    """Of the last row journaled."""

    def add(self, other: Outcome) -> None:
        """Add the result of another part of the batch."""
        self.queries += other.queries
        self.journaled += other.journaled
        self.last_sequence = other.last_sequence or self.last_sequence
        for key, count in other.counts.items():
            self.counts[key] = self.counts.get(key, 0) + count


class Applier:
    """Applies one batch at a time over one session."""

    def __init__(
        self,
        session: Session,
        settings: Settings,
        *,
        clock: Clock,
        new_uuid: Callable[[], UUID],
    ) -> None:
        self._session, self._settings = session, settings
        self._clock, self._new_uuid = clock, new_uuid
        self._control = Control(session, clock, self._context, new_uuid)
        self.is_retrying = False
        """Whether the batch in hand is tried again because the database did not take it."""
        self.trouble: str | None = None
        """What the database's state keeps from being applied, if that is known."""

    async def apply(self, batch: Batch) -> Outcome:
        """Apply all of the batch, however long the database is away.

        Raises Fenced where its partitions have moved on, or may have: their positions must be read again.
        """
        outcome = Outcome()
        try:
            for part in parts(batch, SEGMENTS_MAX):
                outcome.add(await self._apply(part, batch))
        finally:
            self._note(is_retrying=False)
        return outcome

    async def _apply(self, batch: Batch, whole: Batch) -> Outcome:
        """Apply the batch in one transaction; in halves, in order, where one of its commands keeps it from that."""
        trials = Trials(is_alone=len(batch.records) <= 1)
        while True:
            began = time.monotonic()
            try:
                outcome = await self._transact(batch, WAIT_SECONDS_MAX * (trials.made + 1))
            except CommitUnknown as error:
                raise _in_doubt() from error
            except TooMuch:
                return await self._apply_halves(batch, whole)
            except FAULTS as error:
                fault: WorkerError = error
            else:
                self._note(is_retrying=False)
                return outcome
            trials.count(fault, time.monotonic() - began)
            blamed = await self._blame(batch, whole, trials, fault)
            if blamed is not None:
                return blamed
            await self._pause(trials, fault)

    async def _blame(self, batch: Batch, whole: Batch, trials: Trials, fault: WorkerError) -> Outcome | None:
        """Deal with commands that are the cause themselves; None: all of the batch is to be tried again."""
        if not batch.records or not trials.suffice(fault):
            return None
        is_alone = len(batch.records) == 1
        if is_alone or not isinstance(fault, Refused):
            is_well = await self._control.goes_through(batch, whole)
            trials.compare(is_well=is_well)
            if not is_well:
                self._note(f"the database refuses harmless commands too, so none is rejected for it: {fault}")
                return None
        if not is_alone:
            return await self._apply_halves(batch, whole)
        return await self._fail(batch, fault) if trials.convict() else None

    async def _apply_halves(self, batch: Batch, whole: Batch) -> Outcome:
        outcome = Outcome()
        for half in halves(batch):
            outcome.add(await self._apply(half, whole))
        return outcome

    async def _fail(self, batch: Batch, fault: WorkerError) -> Outcome | None:
        """Reject the one command, if need be without a word of its own; None where the database takes not even that."""
        for failure in failures(fault):
            try:
                return await self._transact(batch, WAIT_SECONDS_MAX, failure)
            except CommitUnknown as error:
                raise _in_doubt() from error
            except FAULTS as error:
                self._note(f"the database takes not even a rejection: {error}")
        return None

    async def _pause(self, trials: Trials, fault: WorkerError) -> None:
        """Wait before the next try, longer each time."""
        metrics.RETRIES.labels("apply").inc()
        self._note(self.trouble)
        log.warning(self.trouble or "a batch was not applied, trying again", error=str(fault), attempt=trials.made)
        await asyncio.sleep(trials.pause_seconds())

    def _note(self, trouble: str | None = None, *, is_retrying: bool = True) -> None:
        metrics.REFUSING.inc((trouble is not None) - (self.trouble is not None))
        self.is_retrying, self.trouble = is_retrying, trouble

    async def _transact(self, batch: Batch, wait_seconds_max: float, failure: Failure | None = None) -> Outcome:
        outcome = Outcome()
        async with self._session.transaction():
            context = self._context(await self._claim(batch.spans))
            with contained(UNDECIDED):
                unreadable_ones, queries, commands = sort(batch.records)
                reject(context, unreadable_ones, failure)
                outcome.queries = self._answerable(queries, context)
                if commands:
                    await self._decide(commands, context, failure)
                outcome.last_sequence = await conclude(context, self._clock, timedelta(seconds=wait_seconds_max))
        outcome.counts = context.counts
        outcome.journaled = len(context.rows)
        return outcome

    async def _decide(
        self, commands: list[ReceivedCommand[Any]], context: handlers.Context, failure: Failure | None
    ) -> None:
        """Decide the commands that were never seen; with a failure, they are rejected for that."""
        is_exclusive = any(handlers.HANDLERS[record.what.type].is_exclusive for record in commands)
        context.now = await locks.structure(self._session, self._clock, is_exclusive=is_exclusive)
        if failure is not None and failure.is_bare:
            fail(context, commands, failure)
            return
        commands = await self._fresh(commands, context)
        if failure is None:
            await decide(context, commands)
        else:
            fail(context, commands, failure)

    def _context(self, now: datetime) -> handlers.Context:
        return handlers.begin(self._session, self._settings, now, self._new_uuid)

    async def _claim(self, spans: Sequence[Span]) -> datetime:
        rows = await self._session.fetch("positions_claim", *zip(*spans, strict=True), self._clock())
        if len(rows) != len(spans):
            raise Fenced("the partitions have another owner, or were applied already")
        return judged(self._session, self._clock, rows[0])

    def _answerable(self, queries: Sequence[Query], context: handlers.Context) -> list[Query]:
        """The queries that are to be answered; those whose answer must not go where they say are refused."""
        answered, settings = [], self._settings
        for query in queries:
            replyto = query.what.replyto
            if replyto is None or may_be_replied_to(settings.topic_prefix, settings.reply_patterns, replyto):
                answered.append(query)
            else:
                context.refuse(query, RejectionCode.INVALID, *_not_to_reply_to(replyto, settings.reply_patterns))
        return answered

    async def _fresh(
        self, commands: list[ReceivedCommand[Any]], context: handlers.Context
    ) -> list[ReceivedCommand[Any]]:
        """The commands to be decided: names come first, since a repeated command must not be judged again."""
        named = await names.take(self._session, commands, context.now)
        for record in named.repeated:
            context.count(record, "duplicate")
        for record in named.reused:
            context.refuse_as(record, _reused(record.what), names.reuse_name(record.what))
        untimely_ones = [record for record in named.fresh if record.what.untimely]
        for record in untimely_ones:
            context.refuse_as(record, untimely(record.what))
        return [record for record in named.fresh if not record.what.untimely] if untimely_ones else named.fresh


def _reused(command: Command) -> Refusal:
    what = f"The id {shown(command.id)} of source {shown(command.source)}"
    message = (
        f"{what} was used before, by a command of another type, with other data or for another instant; nothing of "
        "this one was applied."
    )
    if command.effective_at is not None:
        message += f" A retry repeats the instant too; this one names {rfc3339(command.effective_at)}."
    return refused(command, RejectionCode.ID_REUSED, message, [FieldError("id", "must be another for each command")])


def _in_doubt() -> Fenced:
    return Fenced("nobody knows whether it was committed: the positions will tell")


def _not_to_reply_to(topic: str, patterns: Sequence[str]) -> tuple[str, list[FieldError]]:
    allowed = " or ".join(patterns)
    message = (
        f"The answer can't go to {topic}: answers go to topics named {allowed} (SEGMENTATION_REPLY_TOPICS), and to "
        "none of this deployment's own but the one for replies."
    )
    return message, [FieldError("replyto", f"must be a topic for replies: {allowed}")]
