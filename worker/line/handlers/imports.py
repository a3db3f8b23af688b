"""Lists of users: opened, filled, closed or dropped by commands. What a closed list changes is the job's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from schemas.decode import Command
from schemas.import_events import IMPORT_FAILURES
from schemas.imports import ImportCancel, ImportCommit, ImportUsers, Opening
from schemas.rejections import FieldError, RejectionCode
from worker.journal import rows as journal
from worker.line.batch import Received, ReceivedCommand
from worker.line.handlers.context import Context


async def begin_imports(context: Context, records: list[ReceivedCommand[Opening]]) -> None:
    """Open lists; each has an id of its own."""
    data = [record.what.data for record in records]
    rows = await context.session.fetch("imports_begin", *zip(*data, strict=True), context.now)
    found = {row["import"]: row for row in rows}
    for record, opening in zip(records, data, strict=True):
        row = found[opening.import_id]
        if row["segment_key"] is None:
            message = f"Segment {opening.segment!r} does not exist."
            context.refuse(
                record, RejectionCode.SEGMENT_NOT_FOUND, message, [FieldError("data.segment", "does not exist")]
            )
        elif not row["is_new"]:
            message = f"There is, or lately was, an import {opening.import_id!r}; choose another id."
            context.refuse(record, RejectionCode.IMPORT_EXISTS, message, [FieldError("data.import", "is taken")])
        else:
            _say(context, record, "import.began", row, mode=opening.mode, segment_id=str(row["segment_id"]))


async def add_import_users(context: Context, records: list[ReceivedCommand[ImportUsers]]) -> None:
    """Put users on lists that are open."""
    data = [record.what.data for record in records]
    numbers = [number for number, item in enumerate(data, 1) for _ in item.user_ids]
    users = [user_id for item in data for user_id in item.user_ids]
    rows = await context.session.fetch("imports_receive", [item.import_id for item in data], numbers, users)
    found = {row["import"]: row for row in rows}
    for record in await _open(context, records, found):
        row = found[record.what.data.import_id]
        more = {"segment_id": str(row["segment_id"]), "mode": row["mode"], "received": row["received"]}
        _say(context, record, "import.received", row, **more)


async def commit_imports(context: Context, records: list[ReceivedCommand[ImportCommit]]) -> None:
    """Close lists, to be applied by the job; its last event is the command's outcome."""
    columns = [
        (
            record.what.data.import_id,
            record.what.data.users,
            record.what.id,
            record.what.source,
            record.what.correlationid,
            record.what.traceparent,
            record.topic,
            record.partition,
            record.offset,
            record.record_bytes,
        )
        for record in records
    ]
    rows = await context.session.fetch("imports_commit", *zip(*columns, strict=True), context.now)
    found = {row["import"]: row for row in rows}
    for record in await _open(context, records, found):
        row = found[record.what.data.import_id]
        if row["failure"] is None:
            context.count(record, "applied")
            continue
        message = IMPORT_FAILURES[row["failure"]].format(
            users=record.what.data.users or 0, received=row["received"], segment=row["segment"]
        )
        _say(context, record, "import.failed", row, code=row["failure"], message=message)


async def cancel_imports(context: Context, records: list[ReceivedCommand[ImportCancel]]) -> None:
    """Drop lists, also those that are being applied."""
    names = [record.what.data.import_id for record in records]
    rows = await context.session.fetch("imports_cancel", names, context.now)
    found = {row["import"]: row for row in rows}
    for record in await _open(context, records, found):
        row = found[record.what.data.import_id]
        _say(context, record, "import.failed", row, code="cancelled", message=IMPORT_FAILURES["cancelled"])
        if row["commit_topic"] is not None:
            _refuse_commit(context, record, row)


def _refuse_commit(context: Context, record: ReceivedCommand[ImportCancel], row: Any) -> None:
    """The command that had closed the list will have no other outcome."""
    name = row["import"]
    command: Command[Any] = record.what._replace(
        type="import.commit",
        id=row["command_id"],
        source=row["command_source"],
        correlationid=row["correlation_id"],
        traceparent=row["traceparent"],
    )
    place = row["commit_topic"], row["commit_partition"], row["commit_offset"], record.key
    committed = Received(*place, None, row["commit_record_bytes"], command)
    message = f"Import {name!r} was cancelled before all of it was applied; memberships that were already changed stay."
    context.refuse(committed, RejectionCode.IMPORT_CLOSED, message, [FieldError("data.import", "was cancelled")])


async def _open(
    context: Context, records: Sequence[ReceivedCommand[Any]], found: dict[str, Any]
) -> list[ReceivedCommand[Any]]:
    """The records whose imports were found to be open; the others are refused."""
    missing = [record for record in records if record.what.data.import_id not in found]
    if missing:
        names = [record.what.data.import_id for record in missing]
        states = {row["import"]: row["state"] for row in await context.session.fetch("imports_states", names)}
        for record in missing:
            _refuse(context, record, states.get(record.what.data.import_id))
    return [record for record in records if record.what.data.import_id in found]


def _refuse(context: Context, record: ReceivedCommand[Any], state: str | None) -> None:
    name = record.what.data.import_id
    if state is None:
        message = f"There is no import {name!r}; begin it with import.begin."
        context.refuse(record, RejectionCode.IMPORT_NOT_FOUND, message, [FieldError("data.import", "is not known")])
        return
    words = {"applying": "is being applied", "leaving": "is being applied", "completed": "is complete"}
    message = f"Import {name!r} {words.get(state, 'has failed')}; begin another one."
    context.refuse(record, RejectionCode.IMPORT_CLOSED, message, [FieldError("data.import", "is closed")])


def _say(context: Context, record: ReceivedCommand[Any], event_type: str, row: Any, **more: Any) -> None:
    detail = {"import": row["import"], "segment": row["segment"]} | more
    context.rows.append(journal.import_event(record.what, event_type, row["segment_key"], detail))
    context.count(record, more.get("code", "applied"))
