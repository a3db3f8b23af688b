"""Applies batches: one transaction that claims positions, decides every command, and appends what came of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import tenacity

from schemas.commands import MembershipQuery
from schemas.decode import Command, Refusal, refused, untimely
from schemas.rejections import FieldError, RejectionCode
from schemas.topics import may_be_replied_to
from schemas.values import shown
from worker.errors import CommitUnknown, Fenced, Outdated, Refused, Unavailable
from worker.journal import rows as journal
from worker.line import handlers, names
from worker.line.batch import Batch, ReceivedCommand, Span, halves, sort
from worker.line.rounds import rounds
from worker.observability import metrics
from worker.observability.logs import logger
from worker.postgres import locks
from worker.postgres.clock import Clock, judged
from worker.postgres.session import FastUUID, Session
from worker.settings import Settings

log = logger(__name__)

RETRY_SECONDS_MAX = 5.0
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
        self.is_retrying = False
        """Whether the batch in hand is tried again because the database was not available."""

    async def apply(self, batch: Batch) -> Outcome:
        """Apply all of the batch, however long the database is away.

        Raises Fenced where its partitions have moved on, or may have: their positions must be read again.
        """
        try:
            return await self._apply(batch)
        finally:
            self.is_retrying = False

    async def _apply(self, batch: Batch) -> Outcome:
        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type(Unavailable),
            wait=tenacity.wait_exponential_jitter(multiplier=0.05, max=RETRY_SECONDS_MAX, jitter=0.05),
            before_sleep=self._note_retry,
        )
        async for attempt in retrying:
            with attempt:
                try:
                    wait_seconds_max = WAIT_SECONDS_MAX * attempt.retry_state.attempt_number
                    return await self._apply_once(batch, wait_seconds_max)
                except CommitUnknown as error:
                    raise Fenced("nobody knows whether it was committed: the positions will tell") from error
        raise AssertionError("unreachable: the retries have no end")

    def _note_retry(self, state: tenacity.RetryCallState) -> None:
        metrics.RETRIES.labels("apply").inc()
        self.is_retrying = True
        error = state.outcome.exception() if state.outcome else None
        log.warning("the database is not available, trying again", error=str(error), attempt=state.attempt_number)

    async def _apply_once(self, batch: Batch, wait_seconds_max: float) -> Outcome:
        """Apply the batch in one transaction, or where its data is refused, in halves, in order."""
        try:
            return await self._transact(batch, None, wait_seconds_max)
        except Refused as error:
            if len(batch.records) > 1:
                outcome = Outcome()
                for half in halves(batch):
                    outcome.add(await self._apply(half))
                return outcome
            return await self._transact(batch, error, wait_seconds_max)

    async def _transact(self, batch: Batch, failure: Refused | None, wait_seconds_max: float) -> Outcome:
        session, settings, outcome = self._session, self._settings, Outcome()
        async with session.transaction():
            now = await self._claim(batch.spans)
            context = handlers.Context(
                session, now, self._new_uuid, settings.users == "any", settings.rejection_record_bytes
            )
            unreadable_ones, queries, commands = sort(batch.records)
            for unreadable in unreadable_ones:
                context.reject(unreadable)
            outcome.queries = self._answerable(queries, context)
            if commands:
                is_exclusive = any(handlers.HANDLERS[record.what.type].is_exclusive for record in commands)
                context.now = await locks.structure(session, self._clock, is_exclusive=is_exclusive)
                commands = await self._fresh(commands, context)
            if failure is not None:
                for record in commands:
                    context.refuse(record, *_failed(failure))
            else:
                for turn in rounds(commands):
                    for command_type, handler in handlers.HANDLERS.items():
                        if command_type in turn:
                            await handler.decide(context, turn[command_type])
            await self._note_refusals(context)
            outcome.last_sequence = await self._append(context, timedelta(seconds=wait_seconds_max))
        outcome.counts = context.counts
        outcome.journaled = len(context.rows)
        return outcome

    async def _append(self, context: handlers.Context, wait_max: timedelta) -> int | None:
        """Journal what was decided, unless it waited so long that it is no longer true; returns the last number."""
        appended = await journal.append(self._session, context.rows, context.now, self._clock())
        if appended is None:
            return None
        waited = appended.at - context.now
        if context.holds_until is not None and appended.at >= context.holds_until and waited > wait_max:
            raise Outdated(
                f"the batch waited {waited.total_seconds():.1f} s for locks, and a membership that it counted as "
                "active has ended meanwhile: it is decided anew"
            )
        return appended.last_sequence

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

    async def _note_refusals(self, context: handlers.Context) -> None:
        """Keep with the names of the refused what they were refused for, for those who send them again."""
        for code, refused_names in context.refused.items():
            await self._session.fetch("inbox_refuse", [FastUUID(name) for name in refused_names], code)


def _reused(command: Command) -> Refusal:
    what = f"The id {shown(command.id)} of source {shown(command.source)}"
    message = (
        f"{what} was used before, by a command of another type or with other data; nothing of this one was applied."
    )
    return refused(command, RejectionCode.ID_REUSED, message, [FieldError("id", "must be another for each command")])


def _failed(error: Refused) -> tuple[Literal[RejectionCode.FAILED], str]:
    return RejectionCode.FAILED, f"The database refused this command: {error}"


def _not_to_reply_to(topic: str, patterns: Sequence[str]) -> tuple[str, list[FieldError]]:
    allowed = " or ".join(patterns)
    message = (
        f"The answer can't go to {topic}: answers go to topics named {allowed} (SEGMENTATION_REPLY_TOPICS), and to "
        "none of this deployment's own but the one for replies."
    )
    return message, [FieldError("replyto", f"must be a topic for replies: {allowed}")]
