"""What each command does, as sets: a handler decides all commands of its type in a round with one statement."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar
from uuid import UUID

import orjson

from schemas.commands import (
    Change,
    SegmentCreate,
    SegmentDelete,
    SegmentUpdate,
    UserForget,
    UserRegister,
)
from schemas.decode import Command, Refusal
from schemas.envelope import qualified
from schemas.rejections import FieldError, RejectionCode
from worker import journal
from worker.batch import Received
from worker.database import Record, Session

T = TypeVar("T")
UNKNOWN_USER, UNKNOWN_SEGMENT = "?", "!"
"""Letters of memberships_change.sql for items that could not be decided."""


@dataclass(slots=True)
class Context:
    """One transaction: where to write, what time it is, and the journal rows gathered so far."""

    session: Session
    now: datetime
    new_uuid: Callable[[], UUID]
    register_unknown_users: bool
    rows: list[journal.Row] = field(default_factory=list)
    counts: dict[tuple[str, str], int] = field(default_factory=dict)

    def count(self, record: Received, outcome: str) -> None:
        """Count the command for the metrics."""
        key = (getattr(record.what, "type", None) or "unreadable", outcome)
        self.counts[key] = self.counts.get(key, 0) + 1

    def reject(self, record: Received, refusal: Refusal | journal.Rejection) -> None:
        """Journal the record as not applied."""
        self.rows.append(journal.rejected(record, refusal))
        self.count(record, refusal.code)

    def refuse(self, record: Received, code: RejectionCode, message: str, errors: Sequence[FieldError] = ()) -> None:
        """Journal a good command as refused by the state that it met."""
        command = command_of(record)
        self.reject(
            record,
            journal.Rejection(
                code=code,
                message=message,
                errors=[error._asdict() for error in errors],
                command_id=command.id,
                command_source=command.source,
                command_type=qualified(command.type),
                correlationid=command.correlationid,
                traceparent=command.traceparent,
            ),
        )


def command_of(record: Received) -> Command:
    """The command of a record that was decoded as one."""
    assert isinstance(record.what, Command)
    return record.what


async def _create_segments(context: Context, records: list[Received]) -> None:
    data = [_data(record, SegmentCreate) for record in records]
    rows = await context.session.fetch(
        "segments_create",
        [item.segment for item in data],
        [context.new_uuid() for _ in data],
        [context.new_uuid() for _ in data],
        [item.description for item in data],
        [item.owner for item in data],
        [_json(item.tags) for item in data],
        [item.percent for item in data],
        context.now,
    )
    _segment_outcomes(context, records, rows, "segment.created", RejectionCode.SEGMENT_EXISTS, "exists already")
    await _begin_rollouts(context, rows, {item.segment: "release" for item in data if item.percent is not None})


async def _update_segments(context: Context, records: list[Received]) -> None:
    data = [_data(record, SegmentUpdate) for record in records]
    rows = await context.session.fetch(
        "segments_update",
        [item.segment for item in data],
        ["description" in item.changed for item in data],
        [item.description for item in data],
        ["owner" in item.changed for item in data],
        [item.owner for item in data],
        [_json(item.tags) if "tags" in item.changed else None for item in data],
        [item.percent for item in data],
        context.now,
    )
    _segment_outcomes(context, records, rows, "segment.updated", RejectionCode.SEGMENT_NOT_FOUND, "does not exist")
    await _begin_rollouts(context, rows, {item.segment: item.on_decrease for item in data if item.percent is not None})


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


async def _delete_segments(context: Context, records: list[Received]) -> None:
    names = [_data(record, SegmentDelete).segment for record in records]
    rows = await context.session.fetch("segments_delete", names, context.now)
    _segment_outcomes(context, records, rows, "segment.deleted", RejectionCode.SEGMENT_NOT_FOUND, "does not exist")


def _segment_outcomes(
    context: Context,
    records: list[Received],
    rows: Sequence[Record],
    event_type: str,
    refusal: RejectionCode,
    reason: str,
) -> None:
    """An event for each segment that came back from the statement, a rejection for each that did not."""
    found = {row["segment"]: row for row in rows}
    for record in records:
        command = command_of(record)
        row = found.get(command.data.segment)  # type: ignore[union-attr]
        if row is None:
            message = f"Segment {command.data.segment!r} {reason}."  # type: ignore[union-attr]
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


async def _register_users(context: Context, records: list[Received]) -> None:
    users = [_data(record, UserRegister).user_id for record in records]
    entered = await _register(context, users)
    for record, user_id in zip(records, users, strict=True):
        keys = entered.get(user_id, ())
        context.rows.append(journal.changed(command_of(record), user_id, "user_registered", entered=keys))
        context.count(record, "applied")


async def _register(context: Context, users: Sequence[str]) -> dict[str, list[int]]:
    """Make users known; returns the segments that each new one enters, as their percents say."""
    rows = await context.session.fetch("users_register", users, context.now)
    return {row["user_id"]: row["entered"] for row in rows}


async def _forget_users(context: Context, records: list[Received]) -> None:
    users = [_data(record, UserForget).user_id for record in records]
    ended: dict[str, tuple[list[int], list[int]]] = {}
    for row in await context.session.fetch("users_forget", users, context.now):
        exited, lapsed = ended.setdefault(row["user_id"], ([], []))
        if row["segment_key"] is not None:
            (lapsed if row["lapsed"] else exited).append(row["segment_key"])
    for record, user_id in zip(records, users, strict=True):
        if user_id not in ended:
            context.refuse(record, RejectionCode.USER_NOT_FOUND, *_unknown_user(user_id))
            continue
        exited, lapsed = ended[user_id]
        if lapsed:
            context.rows.append(journal.changed(None, user_id, "expiry", exited=lapsed))
        context.rows.append(journal.changed(command_of(record), user_id, "user_forgotten", exited=exited))
        context.count(record, "applied")


async def _change_memberships(context: Context, records: list[Received]) -> None:
    users: list[str] = []
    segments: list[str] = []
    commands: list[int] = []
    included: list[bool] = []
    expires: list[datetime | None] = []
    for number, record in enumerate(records):
        data: Change = record.what.data  # type: ignore[union-attr, assignment]
        for segment, expires_at in data.add:
            users.append(data.user_id)
            segments.append(segment)
            commands.append(number)
            included.append(True)
            expires.append(expires_at)
        for segment in data.remove:
            users.append(data.user_id)
            segments.append(segment)
            commands.append(number)
            included.append(False)
            expires.append(None)
    if context.register_unknown_users:
        await _admit(context, users, segments, commands)
    effects, keys = await context.session.row(
        "memberships_change", users, segments, commands, included, expires, context.now
    )
    begin = 0
    for record in records:
        data = record.what.data  # type: ignore[union-attr, assignment]
        end = begin + len(data.add) + len(data.remove)
        _change_outcome(context, record, effects[begin:end], keys[begin:end], expires[begin:end])
        begin = end


async def _admit(context: Context, users: Sequence[str], segments: Sequence[str], commands: Sequence[int]) -> None:
    """Register the unknown users of commands that will not be refused; what they enter by that is said first."""
    rows = await context.session.fetch("users_admit", users, segments, commands)
    if rows:
        for user_id, keys in (await _register(context, [row["user_id"] for row in rows])).items():
            context.rows.append(journal.changed(None, user_id, "user_registered", entered=keys))


def _change_outcome(
    context: Context, record: Received, effects: str, keys: Sequence[int], expires: Sequence[datetime | None]
) -> None:
    command = command_of(record)
    user_id: str = command.data.user_id  # type: ignore[union-attr]
    if effects == "e":  # one segment entered, the most frequent case
        context.rows.append(journal.changed(command, user_id, "command", entered=keys, expires_at=expires))
        context.count(record, "applied")
        return
    if UNKNOWN_USER in effects or UNKNOWN_SEGMENT in effects or None in keys:
        _refuse_change(context, record, effects, keys)
        return
    lapsed = [key for effect, key in zip(effects, keys, strict=True) if effect in "EU"]
    if lapsed:
        context.rows.append(journal.changed(None, user_id, "expiry", exited=lapsed))

    def those(kinds: str) -> list[int]:
        return [key for effect, key in zip(effects, keys, strict=True) if effect in kinds]

    until = [t for kinds in ("eE", "r") for effect, t in zip(effects, expires, strict=True) if effect in kinds]
    row = journal.changed(
        command,
        user_id,
        "command",
        entered=those("eE"),
        exited=those("x"),
        renewed=those("r"),
        unchanged=those("uU"),
        expires_at=until,
    )
    context.rows.append(row)
    context.count(record, "unchanged" if set(effects) <= {"u", "U"} else "applied")


def _refuse_change(context: Context, record: Received, effects: str, keys: Sequence[int | None]) -> None:
    data: Change = record.what.data  # type: ignore[union-attr, assignment]
    paths = [(f"data.add[{i}]", item[0]) for i, item in enumerate(data.add)]
    paths += [(f"data.remove[{i}]", segment) for i, segment in enumerate(data.remove)]
    missing = [
        FieldError(path, f"segment {segment!r} does not exist")
        for (path, segment), key in zip(paths, keys, strict=True)
        if key is None
    ]
    if UNKNOWN_USER in effects and not context.register_unknown_users:
        message, errors = _unknown_user(data.user_id)
        context.refuse(record, RejectionCode.USER_NOT_FOUND, message, [*errors, *missing])
        return
    message = f"{len(missing)} of the command's segments do not exist; nothing of it was applied."
    if len(missing) == 1:
        message = f"S{missing[0].message.removeprefix('s')}; nothing of the command was applied."
    context.refuse(record, RejectionCode.SEGMENT_NOT_FOUND, message, missing)


def _unknown_user(user_id: str) -> tuple[str, list[FieldError]]:
    message = f"User {user_id!r} is not known; register it with user.register first."
    return message, [FieldError("data.user_id", "user is not known")]


def _data(record: Received, model: type[T]) -> T:
    data = command_of(record).data
    assert isinstance(data, model)
    return data


def _json(tags: Iterable[str]) -> str:
    return orjson.dumps(list(tags)).decode()


Handler = Callable[[Context, list[Received]], Awaitable[None]]

HANDLERS: dict[str, Handler] = {
    "segment.create": _create_segments,
    "segment.update": _update_segments,
    "segment.delete": _delete_segments,
    "user.register": _register_users,
    "user.forget": _forget_users,
    "membership.change": _change_memberships,
}
"""Every command that changes state; in a round they are done in this order, which no outcome depends on."""
