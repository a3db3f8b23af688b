"""Commands of different keys commute, those of one key do not: the n-th command of a key goes to round n."""

from __future__ import annotations

from collections.abc import Iterable

from schemas.decode import Command
from worker.batch import Received

SEGMENT_TYPES = frozenset({"segment.create", "segment.update", "segment.delete"})


def rounds(records: Iterable[Received]) -> list[dict[str, list[Received]]]:
    """The records of commands as rounds of sets by command type; within a round no segment and no user stands twice.

    Segment commands have the first rounds, so that a segment and its first members may stand in one batch.
    """
    segment_rounds: list[dict[str, list[Received]]] = []
    user_rounds: list[dict[str, list[Received]]] = []
    segments: dict[str, int] = {}
    users: dict[str, int] = {}
    for record in records:
        command: Command = record.what  # type: ignore[assignment]
        if command.type in SEGMENT_TYPES:
            _place(segment_rounds, segments, command.data.segment, record)  # type: ignore[union-attr]
        else:
            _place(user_rounds, users, command.data.user_id, record)  # type: ignore[union-attr]
    return segment_rounds + user_rounds


def _place(into: list[dict[str, list[Received]]], seen: dict[str, int], key: str, record: Received) -> None:
    turn = seen.get(key, 0)
    seen[key] = turn + 1
    if turn == len(into):
        into.append({})
    into[turn].setdefault(record.what.type, []).append(record)  # type: ignore[union-attr]
