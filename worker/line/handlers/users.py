"""User commands, as sets."""

from __future__ import annotations

from collections.abc import Sequence

from schemas.commands import UserForget, UserRegister
from schemas.rejections import RejectionCode
from worker.journal import rows as journal
from worker.line.batch import ReceivedCommand
from worker.line.handlers.context import Context, TooMuch, unknown_user

PAIRS_MAX = 200_000
"""Users that one transaction registers, times the percents that each of them may fall into."""


async def register_users(context: Context, records: list[ReceivedCommand[UserRegister]]) -> None:
    """Make users known, and put them into the segments whose percents they fall into."""
    users = [record.what.data.user_id for record in records]
    entered = await register(context, users)
    for record, user_id in zip(records, users, strict=True):
        keys = entered.get(user_id, ())
        context.rows.append(journal.changed(record.what, user_id, "user_registered", entered=keys))
        context.count(record, "applied")


async def register(context: Context, users: Sequence[str]) -> dict[str, list[int]]:
    """Make users known; returns the segments that each new one enters, as their percents say."""
    if len(users) > 1:
        percents = (await context.session.row("percents_count"))["percents"]
        if len(users) * percents > PAIRS_MAX:
            raise TooMuch(f"{len(users):,} users and {percents:,} percents")
    rows = await context.session.fetch("users_register", users, context.now)
    return {row["user_id"]: row["entered"] for row in rows}


async def forget_users(context: Context, records: list[ReceivedCommand[UserForget]]) -> None:
    """Remove users with all their memberships."""
    users = [record.what.data.user_id for record in records]
    ended: dict[str, tuple[list[int], list[int]]] = {}
    for row in await context.session.fetch("users_forget", users, context.now):
        exited, lapsed = ended.setdefault(row["user_id"], ([], []))
        context.hold(row["holds_until"])
        if row["segment_key"] is not None:
            (lapsed if row["lapsed"] else exited).append(row["segment_key"])
    for record, user_id in zip(records, users, strict=True):
        if user_id not in ended:
            context.refuse(record, RejectionCode.USER_NOT_FOUND, *unknown_user(user_id))
            continue
        exited, lapsed = ended[user_id]
        if lapsed:
            context.rows.append(journal.changed(None, user_id, "expiry", exited=lapsed))
        context.rows.append(journal.changed(record.what, user_id, "user_forgotten", exited=exited))
        context.count(record, "applied")
