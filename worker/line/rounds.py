"""Rounds of commands: those about the same user or segment are decided in their order, the n-th of them in round n."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from schemas.commands import CommandType
from worker.line.batch import ReceivedCommand
from worker.line.handlers import HANDLERS, Context

Round = dict[CommandType, list[ReceivedCommand[Any]]]
"""Commands by their type, no two of them about the same segment, user or month."""


async def decide(context: Context, records: Iterable[ReceivedCommand[Any]]) -> None:
    """Decide all of the commands, in rounds, within the transaction that the context's session has open."""
    for turn in rounds(records):
        for command_type, handler in HANDLERS.items():
            if command_type in turn:
                await handler.decide(context, turn[command_type])


def rounds(records: Iterable[ReceivedCommand[Any]]) -> list[Round]:
    """The records of commands as rounds, to be decided one after the other.

    Segment commands have the first rounds, so that a segment and its first members may stand in one batch.
    """
    segment_rounds: list[Round] = []
    other_rounds: list[Round] = []
    segments: dict[str, int] = {}
    others: dict[str, int] = {}
    for record in records:
        command = record.what
        handler = HANDLERS[command.type]
        if handler.is_of_segments:
            _place(segment_rounds, segments, handler.subject(command.data), record)
        else:
            _place(other_rounds, others, handler.subject(command.data), record)
    return segment_rounds + other_rounds


def _place(into: list[Round], seen: dict[str, int], subject: str, record: ReceivedCommand[Any]) -> None:
    turn = seen.get(subject, 0)
    seen[subject] = turn + 1
    if turn == len(into):
        into.append({})
    into[turn].setdefault(record.what.type, []).append(record)
