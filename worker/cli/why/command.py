"""`why`: gathers the facts about a user and a segment, and prints the answer and its story."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from schemas.encode import encode_data
from worker.cli.console import out, patience, plain, show, write
from worker.cli.render import moment
from worker.cli.why import journal as past
from worker.cli.why.answer import (
    Answer,
    answer,
    place,
    sentence,
)
from worker.cli.why.facts import (
    Change,
    Facts,
    Generation,
    Membership,
    Rollout,
)
from worker.cli.why.story import (
    CHANGES_MAX,
    Told,
    reason,
    story,
)
from worker.errors import ConfigurationError
from worker.postgres.session import Record, Session
from worker.settings import load

STYLES = {"entered": "green", "exited": "red", "renewed": "yellow", "unchanged": "dim", "forgotten": "bold red"}


async def why(user_id: str, segment: str, *, limit: int, months: past.Months, as_json: bool) -> None:
    """Print why the user is in the segment or not; raises ConfigurationError where nothing is known of one of them."""
    async with past.patient(load(), "why") as session:
        with patience("reading the journal"):
            facts = await gather(session, user_id, segment, months)
    found, told = answer(facts), story(facts)
    if as_json:
        write(encode_data(_document(facts, found, told, limit)).decode())
        return
    out.print(Text(sentence(facts, found), "bold"))
    _show(facts, told, limit)
    if facts.newest.deleted_at is None:
        out.print(Text(_by_percent(facts)))


async def gather(session: Session, user_id: str, segment: str, months: past.Months) -> Facts:
    """The state and, up to the same instant, the journal: its numbers are in the order of the commits."""
    rows = await session.fetch("why", user_id, segment)
    if not rows:
        raise ConfigurationError(
            f"Segment {segment!r} has never been there: mind upper and lower case, "
            "or see all that happened to the user with `segmentation history`"
        )
    state, keys = rows[0], [row["segment_key"] for row in rows]
    changed = await past.changes(
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


def unknown(user_id: str, reach: Record, months: past.Months) -> str:
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


def _show(facts: Facts, told: Sequence[Told], limit: int) -> None:
    if len(told) > limit:
        count = f"more than {CHANGES_MAX:,}" if len(facts.changes) >= CHANGES_MAX else f"{len(told):,}"
        out.print(Text(f"the newest {limit:,} of {count} lines of its story; --limit shows more", "dim"))
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in ("when", "what", "why", "until", "sequence"):
        table.add_column(column, header_style="dim", overflow="fold")
    for one in told[-limit:]:
        change = one.change
        until = moment(change.expires_at) if change and change.expires_at else ""
        style = STYLES.get(one.what, "magenta")
        cells = (Text(moment(one.time)), Text(one.what, style), Text(plain(reason(one))), Text(until, "yellow"))
        table.add_row(*cells, Text(f"{change.sequence}" if change else "", "dim"))
    show(table)
    if not facts.is_whole and facts.told_from is not None:
        out.print(Text(f"the journal was read from {moment(facts.told_from)} on; what was before is not in it", "dim"))


def _by_percent(facts: Facts) -> str:
    newest = facts.newest
    rollout = newest.rollout
    if facts.registered_at is None:
        return f"By percent, were it registered: {place(newest)}"
    text = f"By percent: {place(newest)}"
    if rollout is None:
        return text
    if rollout.finished_at:
        return f"{text}; its rollout was complete at {moment(rollout.finished_at)}"
    where = "has not reached the user yet" if rollout.is_awaited else "has passed the user"
    return f"{text}; its rollout is under way since {moment(rollout.requested_at)} and {where}"


def _document(facts: Facts, found: Answer, told: Sequence[Told], limit: int) -> dict[str, Any]:
    newest = facts.newest
    rollout = asdict(newest.rollout) if newest.rollout else None
    return {
        "user_id": facts.user_id,
        "segment": facts.segment,
        "segment_id": newest.segment_id,
        "is_in": found.is_in,
        "code": found.code,
        "answer": sentence(facts, found),
        "since": found.since,
        "until": found.until,
        "cause": _told(facts, Told(found.cause.time, found.cause.what, found.cause)) if found.cause else None,
        "asked_at": facts.asked_at,
        "registered_at": facts.registered_at,
        "deleted_at": newest.deleted_at,
        "percent": newest.percent,
        "bucket": newest.bucket,
        "is_inside": newest.is_inside,
        "rollout": rollout,
        "journal": {"told_from": facts.told_from, "is_whole": facts.is_whole},
        "story": [_told(facts, one) for one in told[-limit:]],
        "story_lines": len(told),
    }


def _told(facts: Facts, one: Told) -> dict[str, Any]:
    change = one.change
    names = {generation.segment_key: generation.segment_id for generation in facts.generations}
    return {
        "time": one.time,
        "what": one.what,
        "reason": change.reason if change else None,
        "segment_id": names.get(change.segment_key) if change and change.segment_key else one.segment_id,
        "expires_at": change.expires_at if change else None,
        "command_id": change.command_id if change else None,
        "command_source": change.command_source if change else None,
        "sequence": change.sequence if change else None,
    }
