"""`why`: prints the answer and its story, for people or for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from schemas.encode import encode_data
from worker.cli import coming
from worker.cli.console import out, patience, plain, show, write
from worker.cli.render import moment
from worker.cli.why import journal
from worker.cli.why.answer import Answer, answer, place, sentence
from worker.cli.why.facts import Facts
from worker.cli.why.gather import gather
from worker.cli.why.story import CHANGES_MAX, Told, reason, story
from worker.settings import load

STYLES = {"entered": "green", "exited": "red", "renewed": "yellow", "unchanged": "dim", "forgotten": "bold red"}


async def why(user_id: str, segment: str, *, limit: int, months: journal.Months, as_json: bool) -> None:
    """Print why the user is in the segment or not; raises ConfigurationError where nothing is known of one of them."""
    async with journal.patient(load(), "why") as session:
        with patience("reading the journal"):
            facts = await gather(session, user_id, segment, months)
        ahead = await session.fetch("schedule_between", user_id, segment, coming.SHOWN + 1)
    found, told = answer(facts), story(facts)
    if as_json:
        write(
            encode_data(
                _document(facts, found, told, limit) | {"coming": [coming.document(row) for row in ahead]}
            ).decode()
        )
        return
    out.print(Text(sentence(facts, found), "bold"))
    _show(facts, told, limit)
    if facts.newest.deleted_at is None:
        out.print(Text(_by_percent(facts)))
    coming.lines(ahead)


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
