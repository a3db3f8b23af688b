"""Commands of different keys commute, those of one key do not: the n-th command of a key goes to round n."""

from __future__ import annotations

from collections.abc import Iterable

from schemas.commands import ReportRequest
from schemas.decode import Command
from worker.line.batch import Received

SEGMENT_TYPES = frozenset({"segment.create", "segment.update", "segment.delete"})


def rounds(records: Iterable[Received]) -> list[dict[str, list[Received]]]:
    """The records of commands as rounds of sets by command type; within a round no segment, user or month stands twice.

    Segment commands have the first rounds, so that a segment and its first members may stand in one batch.
    """
    segment_rounds: list[dict[str, list[Received]]] = []
    other_rounds: list[dict[str, list[Received]]] = []
    segments: dict[str, int] = {}
    others: dict[str, int] = {}
    for record in records:
        command: Command = record.what  # type: ignore[assignment]
        if command.type in SEGMENT_TYPES:
            _place(segment_rounds, segments, command.data.segment, record)  # type: ignore[union-attr]
        elif isinstance(command.data, ReportRequest):
            _place(other_rounds, others, f"{command.data.year} {command.data.month}", record)  # no user: it has a space
        else:
            _place(other_rounds, others, command.data.user_id, record)  # type: ignore[union-attr]
    return segment_rounds + other_rounds


def _place(into: list[dict[str, list[Received]]], seen: dict[str, int], key: str, record: Received) -> None:
    turn = seen.get(key, 0)
    seen[key] = turn + 1
    if turn == len(into):
        into.append({})
    into[turn].setdefault(record.what.type, []).append(record)  # type: ignore[union-attr]
