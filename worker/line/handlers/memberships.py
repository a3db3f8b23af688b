"""membership.change, as sets: a round is decided by one statement."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from schemas.commands import Change
from schemas.rejections import FieldError, RejectionCode
from worker.journal import rows as journal
from worker.line.batch import Received
from worker.line.handlers.context import Context, command_of, unknown_user
from worker.line.handlers.users import register

UNKNOWN_USER, UNKNOWN_SEGMENT = "?", "!"
"""Letters of memberships_change.sql for items that could not be decided."""


async def change_memberships(context: Context, records: list[Received]) -> None:
    """Add and remove, all of a command or nothing."""
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
        for user_id, keys in (await register(context, [row["user_id"] for row in rows])).items():
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
        message, errors = unknown_user(data.user_id)
        context.refuse(record, RejectionCode.USER_NOT_FOUND, message, [*errors, *missing])
        return
    message = f"{len(missing)} of the command's segments do not exist; nothing of it was applied."
    if len(missing) == 1:
        message = f"S{missing[0].message.removeprefix('s')}; nothing of the command was applied."
    context.refuse(record, RejectionCode.SEGMENT_NOT_FOUND, message, missing)
