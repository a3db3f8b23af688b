"""membership.change, as sets: a round is decided by one statement."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, NamedTuple

from schemas.commands import Change
from schemas.rejections import FieldError, RejectionCode
from worker.journal import rows as journal
from worker.line.batch import ReceivedCommand
from worker.line.handlers.context import Context, unknown_user
from worker.line.handlers.limits import within_memberships
from worker.line.handlers.users import register


class Effect(NamedTuple):
    """What an item of a command did to the membership that it names."""

    listed_as: Literal["entered", "exited", "renewed", "unchanged"]
    """The list of the event `membership.changed` that names the segment."""
    follows_expiry: bool = False
    """The membership was over by its own time and nobody had journaled that: its end is journaled first."""


EFFECTS: dict[str, Effect] = {
    "e": Effect("entered"),
    "E": Effect("entered", follows_expiry=True),
    "r": Effect("renewed"),
    "x": Effect("exited"),
    "u": Effect("unchanged"),
    "U": Effect("unchanged", follows_expiry=True),
}
"""The letters by which memberships_change.sql says what each item did: one string costs less than an array."""
ENTERED = "e"
UNKNOWN_USER, UNKNOWN_SEGMENT = "?", "!"
"""Its letters for items that could not be decided."""


async def change_memberships(context: Context, records: list[ReceivedCommand[Change]]) -> None:
    """Add and remove, all of a command or nothing."""
    records = await within_memberships(context, records)
    if not records:
        return
    users: list[str] = []
    segments: list[str] = []
    commands: list[int] = []
    included: list[bool] = []
    expires: list[datetime | None] = []
    for number, record in enumerate(records):
        data = record.what.data
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
    effects, keys, holds_until = await context.session.row(
        "memberships_change", users, segments, commands, included, expires, context.now
    )
    context.hold(holds_until)
    begin = 0
    for record in records:
        data = record.what.data
        end = begin + len(data.add) + len(data.remove)
        _change_outcome(context, record, effects[begin:end], keys[begin:end], expires[begin:end])
        begin = end


async def _admit(context: Context, users: Sequence[str], segments: Sequence[str], commands: Sequence[int]) -> None:
    """Register the unknown users of commands that will not be refused; what they enter by that is journaled first."""
    rows = await context.session.fetch("users_admit", users, segments, commands)
    if rows:
        for user_id, keys in (await register(context, [row["user_id"] for row in rows])).items():
            context.rows.append(journal.changed(None, user_id, "user_registered", entered=keys))


def _change_outcome(
    context: Context,
    record: ReceivedCommand[Change],
    letters: str,
    keys: Sequence[int],
    expires: Sequence[datetime | None],
) -> None:
    command = record.what
    user_id = command.data.user_id
    if letters == ENTERED:  # one segment entered, the most frequent case
        context.rows.append(journal.changed(command, user_id, "command", entered=keys, expires_at=expires))
        context.count(record, "applied")
        return
    if UNKNOWN_USER in letters or UNKNOWN_SEGMENT in letters or None in keys:
        _refuse_change(context, record, letters, keys)
        return
    items = [(EFFECTS[letter], key, until) for letter, key, until in zip(letters, keys, expires, strict=True)]
    lapsed = [key for effect, key, _ in items if effect.follows_expiry]
    if lapsed:
        context.rows.append(journal.changed(None, user_id, "expiry", exited=lapsed))

    def those(name: str) -> list[int]:
        return [key for effect, key, _ in items if effect.listed_as == name]

    row = journal.changed(
        command,
        user_id,
        "command",
        entered=those("entered"),
        exited=those("exited"),
        renewed=those("renewed"),
        unchanged=those("unchanged"),
        expires_at=[t for name in ("entered", "renewed") for effect, _, t in items if effect.listed_as == name],
    )
    context.rows.append(row)
    is_unchanged = all(effect.listed_as == "unchanged" for effect, _, _ in items)
    context.count(record, "unchanged" if is_unchanged else "applied")


def _refuse_change(context: Context, record: ReceivedCommand[Change], letters: str, keys: Sequence[int | None]) -> None:
    data = record.what.data
    paths = [(f"data.add[{i}]", item[0]) for i, item in enumerate(data.add)]
    paths += [(f"data.remove[{i}]", segment) for i, segment in enumerate(data.remove)]
    missing = [
        FieldError(path, f"segment {segment!r} does not exist")
        for (path, segment), key in zip(paths, keys, strict=True)
        if key is None
    ]
    if UNKNOWN_USER in letters and not context.register_unknown_users:
        message, errors = unknown_user(data.user_id)
        context.refuse(record, RejectionCode.USER_NOT_FOUND, message, [*errors, *missing])
        return
    message = f"{len(missing)} of the command's segments do not exist; nothing of it was applied."
    if len(missing) == 1:
        message = f"S{missing[0].message.removeprefix('s')}; nothing of the command was applied."
    context.refuse(record, RejectionCode.SEGMENT_NOT_FOUND, message, missing)
