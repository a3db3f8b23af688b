"""The facts about a user and a segment, read from the tables and from the journal up to the same instant."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from worker.cli.render import moment
from worker.cli.why import journal
from worker.cli.why.facts import Change, Facts, Generation, Membership, Rollout
from worker.cli.why.story import CHANGES_MAX
from worker.errors import ConfigurationError
from worker.postgres.session import Record, Session


async def gather(session: Session, user_id: str, segment: str, months: journal.Months) -> Facts:
    """The state and, up to the same instant, the journal: its numbers are in the order of the commits."""
    rows = await session.fetch("why", user_id, segment)
    if not rows:
        raise ConfigurationError(
            f"Segment {segment!r} has never been there: mind upper and lower case, "
            "or see all that happened to the user with `segmentation history`"
        )
    state, keys = rows[0], [row["segment_key"] for row in rows]
    changed = await journal.changes(
        session, user_id, keys, before=state["last_sequence"] + 1, count=CHANGES_MAX, months=months
    )
    reach = await session.row("journal_reach", user_id)
    told_from = max((at for at in (reach["first_time"], months.begins) if at), default=None)
    if len(changed) == CHANGES_MAX:
        told_from = changed[-1]["time"]
    if state["registered_at"] is None and not changed:
        raise ConfigurationError(unknown(user_id, reach, months))
    return Facts(
        user_id=user_id,
        segment=segment,
        asked_at=state["asked_at"],
        registered_at=state["registered_at"],
        generations=[_generation(row) for row in rows],
        changes=[change for row in reversed(changed) for change in _changes(row, set(keys))],
        told_from=told_from,
        is_whole=_is_kept(reach) and months.since is None and len(changed) < CHANGES_MAX,
    )


def unknown(user_id: str, reach: Record, months: journal.Months) -> str:
    """What to say of a user that is not known and of whom the journal tells nothing."""
    if months.since or months.until:
        where = "the months that were read have"
    elif _is_kept(reach):
        where = "the journal, which is whole, has"
    elif reach["first_time"]:
        where = f"the journal, which goes back to {moment(reach['first_time'])}, has"
    else:
        where = "the journal, of which nothing is left, has"
    return (
        f"User {user_id!r} is not known, and {where} nothing about it: "
        "is the id right, and was it registered with user.register?"
    )


def _is_kept(reach: Record) -> bool:
    """Whether the journal still has its first row, or has never had one."""
    return bool(reach["first_sequence"] == 1 or reach["last_sequence"] == 0)


def _generation(row: Record) -> Generation:
    membership, rollout = None, None
    if row["is_included"] is not None:
        membership = Membership(row["is_included"], row["origin"], row["since"], row["expires_at"])
    if row["requested_at"] is not None:
        rollout = Rollout(row["requested_at"], row["finished_at"], row["on_decrease"], row["is_awaited"])
    return Generation(
        segment_key=row["segment_key"],
        segment_id=row["segment_id"],
        created_at=row["created_at"],
        deleted_at=row["deleted_at"],
        percent=row["percent"],
        bucket=row["bucket"],
        is_inside=row["is_inside"],
        is_active=row["is_active"],
        membership=membership,
        rollout=rollout,
        expiry_error=row["expiry_error"],
    )


def _changes(row: Record, keys: set[int]) -> Iterator[Change]:
    """What the row says of the segment; expiries are those of the entered, and then of the renewed."""
    made: list[Change] = []
    times = iter(row["expires_at"] or ())
    for what in ("entered", "renewed", "exited", "unchanged"):
        for key in row[what] or ():
            until = next(times, None) if what in ("entered", "renewed") else None
            if key in keys:
                made.append(_change(row, what, key, until))
    yield from made or [_change(row, "forgotten", None, None)]


def _change(row: Record, what: str, key: int | None, until: Any) -> Change:
    return Change(
        row["sequence"],
        row["time"],
        what,
        row["reason"],
        key,
        until,
        row["command_id"],
        row["command_source"],
    )
