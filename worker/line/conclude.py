"""What ends a transaction that decides commands: those that could not be are rejected, and what came of all of them is
noted with their names, and journaled."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from schemas.decode import Refusal
from schemas.rejections import RejectionCode
from worker.errors import Outdated
from worker.journal import rows as journal
from worker.line.batch import Received, ReceivedCommand, bare
from worker.line.handlers import Context
from worker.line.trials import Failure
from worker.postgres.clock import Clock
from worker.postgres.session import FastUUID


def reject(context: Context, unreadable_ones: Sequence[Received[Refusal]], failure: Failure | None) -> None:
    """Journal records that are no commands; after a failure without anything of their own."""
    for record in unreadable_ones:
        context.reject(record if failure is None else bare(record))


def fail(context: Context, records: Sequence[ReceivedCommand[Any]], failure: Failure) -> None:
    """Reject commands that the database does not take."""
    for record in records:
        if failure.is_bare:
            context.reject(bare(record, failure.message))
        else:
            context.refuse(record, RejectionCode.FAILED, failure.message)


async def conclude(context: Context, clock: Clock, wait_max: timedelta) -> int | None:
    """Journal what was decided, unless it waited so long that it is no longer true; returns the last number.

    Raises Outdated. What the refused were refused for is kept with their names, for those who send them again.
    """
    for code, refused_names in context.refused.items():
        await context.session.fetch("inbox_refuse", [FastUUID(name) for name in refused_names], code)
    appended = await journal.append(context.session, context.rows, context.now, clock())
    if appended is None:
        return None
    waited = appended.at - context.now
    if context.holds_until is not None and appended.at >= context.holds_until and waited > wait_max:
        raise Outdated(
            f"the batch waited {waited.total_seconds():.1f} s for locks, and a membership that it counted as "
            "active has ended meanwhile: it is decided anew"
        )
    return appended.last_sequence
