"""Rounds of commands: those about the same user or segment are decided in their order, the n-th of them in round n."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal

from schemas.commands import CommandType
from schemas.topics import Topic
from worker.line.batch import ReceivedCommand
from worker.line.handlers import HANDLERS, Context
from worker.line.handlers.schedules import put_off

LATER: Literal["later"] = "later"
"""Commands of all types that take effect later."""
Round = dict[CommandType | Literal["later"], list[ReceivedCommand[Any]]]
"""Commands by their type, no two of them about the same segment, user or month."""


async def decide(context: Context, records: Iterable[ReceivedCommand[Any]]) -> None:
    """Decide all of the commands, in rounds, within the transaction that the context's session has open."""
    for turn in rounds(records, context.now):
        for command_type, handler in HANDLERS.items():
            if command_type in turn:
                await handler.decide(context, turn[command_type])
        if LATER in turn:
            await put_off(context, turn[LATER])


def rounds(records: Iterable[ReceivedCommand[Any]], now: datetime) -> list[Round]:
    """The records of commands as rounds, to be decided one after the other.

    Segment commands have the first rounds, so that a segment and its first members may stand in one batch.
    """
    segment_rounds: list[Round] = []
    other_rounds: list[Round] = []
    segments: dict[str, int] = {}
    others: dict[str, int] = {}
    for record in records:
        kind, at = record.what.type, record.what.effective_at
        handler = HANDLERS[kind]
        placed_as = kind if at is None or at <= now else LATER
        if handler.is_of_segments or (kind == "schedule.cancel" and record.topic.endswith(Topic.SEGMENT_COMMANDS)):
            _place(segment_rounds, segments, handler.subject(record), placed_as, record)
        else:
            _place(other_rounds, others, handler.subject(record), placed_as, record)
    return segment_rounds + other_rounds


def _place(
    into: list[Round],
    seen: dict[str, int],
    subject: str,
    kind: CommandType | Literal["later"],
    record: ReceivedCommand[Any],
) -> None:
    turn = seen.get(subject, 0)
    seen[subject] = turn + 1
    if turn == len(into):
        into.append({})
    into[turn].setdefault(kind, []).append(record)
