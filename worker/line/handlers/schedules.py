"""Commands that take effect later: kept in their order until they are due, or taken back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from schemas.commands import Change
from schemas.decode import Command
from schemas.envelope import qualified
from schemas.rejections import FieldError, RejectionCode
from schemas.schedule_cancel import ScheduleCancel
from schemas.schedules import kept, subject
from worker.journal import rows as journal
from worker.line.batch import ReceivedCommand
from worker.line.handlers.context import Context
from worker.line.names import command_name, name_of
from worker.postgres.session import FastUUID

SEGMENTS, OTHERS = 0, 1
"""The rank of a command among those of one instant."""
NOT_WAITING = "It has taken effect, was cancelled, or was never scheduled."


async def put_off(context: Context, records: Sequence[ReceivedCommand[Any]]) -> None:
    """Keep commands that take effect later."""
    columns = zip(*(_columns(context, record) for record in records), strict=True)
    rows = await context.session.fetch("schedule_add", context.now, *columns)
    segment_keys = {row["n"]: row["segment_key"] for row in rows}
    for number, record in enumerate(records, 1):
        command = record.what
        about = subject(command.data)
        detail = {
            "command_id": command.id,
            "command_source": command.source,
            "command_type": qualified(command.type),
            "effective_at": command.effective_at,
            **about,
        }
        row = journal.schedule_event(
            command,
            "command.scheduled",
            detail,
            user_id=about.get("user_id"),
            segment_key=segment_keys.get(number),
        )
        context.rows.append(row)
        context.count(record, "scheduled")


def _columns(context: Context, record: ReceivedCommand[Any]) -> tuple[Any, ...]:
    """In the order of schedule_add.sql."""
    command, about = record.what, subject(record.what.data)
    return (
        command.effective_at,
        command.time,
        FastUUID(command_name(command)),
        record.offset,
        record.partition,
        record.record_bytes,
        SEGMENTS if "segment" in about else OTHERS,
        command.type,
        command.id,
        command.source,
        command.correlationid,
        command.traceparent,
        record.topic,
        record.key,
        record.value and record.value[: context.record_bytes_kept],
        about.get("user_id"),
        about.get("import"),
        _array(_segments(command)),
        kept(command.data).decode(),
    )


def _segments(command: Command[Any]) -> list[str]:
    """The segments that the command names."""
    if isinstance(command.data, Change):
        return [*(name for name, _ in command.data.add), *command.data.remove]
    segment = getattr(command.data, "segment", None)
    return [segment] if segment else []


def _array(names: Sequence[str]) -> str:
    """As an array's literal; no character of a segment's name needs more than quotes."""
    return "{" + ",".join(f'"{name}"' for name in names) + "}"


async def cancel_scheduled(context: Context, records: list[ReceivedCommand[ScheduleCancel]]) -> None:
    """Take commands back that wait where the cancelling command has come: on its topic, under its key."""
    names = [FastUUID(_target(record.what)) for record in records]
    places = [record.topic for record in records], [record.key for record in records]
    rows = await context.session.fetch("schedule_cancel", names, *places, context.now)
    gone = {row["n"]: row for row in rows}
    missing = []
    for number, record in enumerate(records, 1):
        row = gone.get(number)
        if row is None:
            missing.append(record)
            continue
        detail = {name: row[name] for name in ("command_id", "command_source", "effective_at")}
        detail["command_type"] = qualified(row["command_type"])
        detail |= {name: row[name] for name in ("user_id", "segment", "import") if row[name] is not None}
        context.rows.append(
            journal.schedule_event(
                record.what, "command.unscheduled", detail, user_id=row["user_id"], segment_key=row["segment_key"]
            )
        )
        context.count(record, "applied")
    await _refuse_missing(context, missing)


async def _refuse_missing(context: Context, records: Sequence[ReceivedCommand[ScheduleCancel]]) -> None:
    if not records:
        return
    rows = await context.session.fetch("schedule_places", [FastUUID(_target(record.what)) for record in records])
    places = {row["name"].bytes: (row["topic"], row["record_key"].decode()) for row in rows}
    for record in records:
        place = places.get(_target(record.what))
        if place is None:
            _refuse(context, record, NOT_WAITING)
        else:
            _refuse(context, record, f"It waits on the topic {place[0]}, under the key {place[1]!r}: cancel it there.")


def _refuse(context: Context, record: ReceivedCommand[ScheduleCancel], why: str) -> None:
    data = record.what.data
    message = f"No command {data.command_id!r} of source {data.command_source!r} waits here. {why}"
    errors = [FieldError("data.command_id", "names no command that waits on this topic and under this key")]
    context.refuse(record, RejectionCode.NOT_SCHEDULED, message, errors)


def _target(command: Command[ScheduleCancel]) -> bytes:
    """The name of the command that is cancelled."""
    return name_of(command.data.command_source, command.data.command_id)
