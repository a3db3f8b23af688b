"""Segment commands, as sets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import orjson

from schemas.commands import SegmentCreate, SegmentDelete, SegmentUpdate
from schemas.rejections import FieldError, RejectionCode
from worker.journal import rows as journal
from worker.line.batch import ReceivedCommand
from worker.line.handlers.context import Context
from worker.line.handlers.limits import within_percents
from worker.postgres.session import Record


async def create_segments(context: Context, records: list[ReceivedCommand[SegmentCreate]]) -> None:
    """Make segments; a percent begins its rollout."""
    records = await within_percents(context, records)
    data = [record.what.data for record in records]
    rows = await context.session.fetch(
        "segments_create",
        [item.segment for item in data],
        [context.new_uuid() for _ in data],
        [context.new_uuid() for _ in data],
        [item.description or None for item in data],
        [item.owner or None for item in data],
        [_json(item.tags or ()) for item in data],
        [item.percent for item in data],
        context.now,
    )
    _segment_outcomes(context, records, rows, "segment.created", RejectionCode.SEGMENT_EXISTS, "exists already")
    await _begin_rollouts(context, rows, {item.segment: "release" for item in data if item.percent is not None})


async def update_segments(context: Context, records: list[ReceivedCommand[SegmentUpdate]]) -> None:
    """Change segments; a new percent begins its rollout anew."""
    records = await within_percents(context, records)
    data = [record.what.data for record in records]
    rows = await context.session.fetch(
        "segments_update",
        [item.segment for item in data],
        ["description" in item.changed for item in data],
        [item.description or None for item in data],
        ["owner" in item.changed for item in data],
        [item.owner or None for item in data],
        [None if item.tags is None else _json(item.tags) for item in data],
        [item.percent for item in data],
        context.now,
    )
    _segment_outcomes(context, records, rows, "segment.updated", RejectionCode.SEGMENT_NOT_FOUND, "does not exist")
    await _begin_rollouts(
        context, rows, {item.segment: item.on_decrease or "release" for item in data if item.percent is not None}
    )


async def _begin_rollouts(context: Context, rows: Sequence[Record], policies: dict[str, str]) -> None:
    """The segments whose percent was set are rolled out from now on, anew where that was under way."""
    chosen = [row for row in rows if row["segment"] in policies]
    if chosen:
        await context.session.fetch(
            "rollouts_begin",
            [row["segment_key"] for row in chosen],
            [row["percent"] for row in chosen],
            [policies[row["segment"]] for row in chosen],
            context.now,
        )


async def delete_segments(context: Context, records: list[ReceivedCommand[SegmentDelete]]) -> None:
    """Delete segments; their memberships are ended by a job."""
    names = [record.what.data.segment for record in records]
    rows = await context.session.fetch("segments_delete", names, context.now)
    _segment_outcomes(context, records, rows, "segment.deleted", RejectionCode.SEGMENT_NOT_FOUND, "does not exist")


def _segment_outcomes(
    context: Context,
    records: Sequence[ReceivedCommand[SegmentCreate | SegmentUpdate | SegmentDelete]],
    rows: Sequence[Record],
    event_type: str,
    refusal: RejectionCode,
    reason: str,
) -> None:
    """An event for each segment that came back from the statement, a rejection for each that did not."""
    found = {row["segment"]: row for row in rows}
    for record in records:
        command = record.what
        row = found.get(command.data.segment)
        if row is None:
            message = f"Segment {command.data.segment!r} {reason}."
            context.refuse(record, refusal, message, [FieldError("data.segment", reason)])
            continue
        context.rows.append(journal.segment_event(command, event_type, row["segment_key"], _segment_data(row)))
        context.count(record, "applied")


def _segment_data(row: Record) -> dict[str, object]:
    data: dict[str, object] = {"segment": row["segment"], "segment_id": str(row["segment_id"])}
    if row.get("salt") is not None:
        data |= {
            "salt": str(row["salt"]),
            "description": row["description"],
            "owner": row["owner"],
            "tags": row["tags"],
            "percent": row["percent"],
        }
    return data


def _json(tags: Iterable[str]) -> str:
    return orjson.dumps(list(tags)).decode()
