"""`segments`, `segment` and `members`: what segments there are, all about one, and who is in it. From PostgreSQL."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any
from uuid import UUID

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from schemas.encode import encode_data
from worker.cli import coming
from worker.cli.console import out, patience, percent_text, plain, show, write
from worker.cli.render import line, local_time, moment
from worker.cli.why import journal as past
from worker.errors import ConfigurationError
from worker.journal.encode import Encoder
from worker.postgres.session import Database, Record, Session
from worker.settings import Settings, load

DAYS = 30
CHANGES_SHOWN = 10
MEMBERS_PAGE = 5_000
BARS = " ▁▂▃▄▅▆▇█"
NOT_COUNTED = "not counted yet"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which segments are listed; None is any."""

    owner: str | None
    tag: str | None
    match: str | None
    is_deleted_too: bool
    sort: str
    limit: int


async def segments(wanted: Wanted, *, as_json: bool, settings: Settings | None = None) -> None:
    """Print the segments as a table, or as a JSON object a line; the environment's if no deployment is given."""
    session = Database(settings or load()).session("segments")
    try:
        rows = await session.fetch(
            "segments_list",
            wanted.owner,
            wanted.tag,
            wanted.match,
            wanted.is_deleted_too,
            wanted.sort,
            wanted.limit + 1,
        )
    finally:
        await session.close()
    shown = rows[: wanted.limit]
    if as_json:
        for row in shown:
            write(_json(dict(row)))
        return
    if not rows:
        out.print("no such segment" if any((wanted.owner, wanted.tag, wanted.match)) else "there is no segment yet")
        return
    show(_table(shown, with_deleted=wanted.is_deleted_too))
    if len(rows) > wanted.limit:
        out.print(Text(f"there are more: segmentation segments --limit {wanted.limit * 10}", "dim"))


async def segment(name: str, *, as_json: bool, settings: Settings | None = None) -> None:
    """Print all about one segment, as above; raises ConfigurationError where it has never been there."""
    settings = settings or load()
    async with past.patient(settings, "segment") as session:
        facts = await _facts(session, name)
        days = await session.fetch("segment_days_list", facts["segment_key"], DAYS)
        with patience("reading the journal"):
            changes = await _changes(session, settings, facts)
        ahead = await session.fetch("schedule_list", name, None, coming.SHOWN + 1)
    if as_json:
        write(_json(_document(facts, days, changes) | {"scheduled": [coming.document(row) for row in ahead]}))
        return
    _print_facts(facts)
    _print_days(days)
    coming.lines(ahead)
    _print_changes(changes)


async def members(name: str, origin: str | None, limit: int | None, form: str) -> None:
    """Print the segment's active users in the order of their keys, a page after the other, whatever their number.

    `form` is `table`, `json` or `csv`. Raises ConfigurationError for a segment that is not there.
    """
    async with past.patient(load(), "members") as session:
        facts = await _facts(session, name)
        if facts["deleted_at"] is not None:
            raise ConfigurationError(f"Segment {name!r} was deleted at {moment(facts['deleted_at'])}: nobody is in it")
        count = 0
        if form == "csv":
            write("user_id,origin,since,expires_at")
        async for page in _pages(session, facts["segment_key"], origin, limit):
            count += len(page)
            sys.stdout.write("".join(_member(row, form) for row in page))
        sys.stdout.flush()
    if form == "table" and (count == 0 or (limit is not None and count == limit)):
        out.print(Text("nobody is in it" if count == 0 else "there may be more: --limit N, or --all", "dim"))


async def _facts(session: Session, name: str) -> Record:
    rows = await session.fetch("segment_facts", name)
    if not rows:
        raise ConfigurationError(
            f"Segment {name!r} has never been there: mind upper and lower case, or see `segmentation segments`"
        )
    return rows[0]


async def _changes(session: Session, settings: Settings, facts: Record) -> list[tuple[Record, dict[str, Any]]]:
    """The newest journal rows about the segment with their events, newest first; none is older than the segment."""
    rows: list[Record] = []
    for month in await session.fetch("journal_months", None, None):
        if month["ends"] <= facts["created_at"] or len(rows) >= CHANGES_SHOWN:
            break
        rows += await session.fetch(
            "journal_of_segment", facts["segment_key"], month["begins"], month["ends"], CHANGES_SHOWN - len(rows)
        )
    head = await session.row("journal_head")
    events = await Encoder(session, settings, head["id"]).encode(rows)
    return [(row, json.loads(event.value)) for row, event in zip(rows, events, strict=True)]


async def _pages(
    session: Session, segment_key: int, origin: str | None, limit: int | None
) -> AsyncIterator[Sequence[Record]]:
    after, left = 0, limit
    while left is None or left > 0:
        size = MEMBERS_PAGE if left is None else min(MEMBERS_PAGE, left)
        page = await session.fetch("members_page", segment_key, after, origin, size)
        if page:
            yield page
        if len(page) < size:
            return
        after = page[-1]["user_key"]
        left = None if left is None else left - size


def _member(row: Record, form: str) -> str:
    if form == "json":
        data = {name: row[name] for name in ("user_id", "origin", "since", "expires_at")}
        return _json(data) + "\n"
    if form == "csv":
        text = io.StringIO()
        since, until = (at.astimezone(UTC).isoformat() if at else "" for at in (row["since"], row["expires_at"]))
        csv.writer(text, lineterminator="\n").writerow([row["user_id"], row["origin"], since, until])
        return text.getvalue()
    until = f"  until {moment(row['expires_at'])}" if row["expires_at"] else ""
    return f"{plain(row['user_id'])}  {row['origin']}  since {local_time(row['since'])}{until}\n"


def _table(rows: Sequence[Record], *, with_deleted: bool) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in ("segment", "members", "today", "percent", "owner", "tags", "created"):
        table.add_column(
            column,
            overflow="fold",
            no_wrap=column in ("members", "today"),
            justify=_justify(column),
            header_style="dim",
        )
    if with_deleted:
        table.add_column("deleted", header_style="dim")
    for row in rows:
        members = NOT_COUNTED if row["members"] is None else f"{row['members']:,}"
        cells: list[Text | str] = [
            Text(plain(row["segment"]), "magenta" if row["deleted_at"] is None else "dim"),
            members,
            _today(row["entered_today"], row["exited_today"]),
            _percent(row["percent"]),
            plain(row["owner"] or ""),
            plain(", ".join(row["tags"])),
            local_time(row["created_at"]),
        ]
        table.add_row(*cells, *([local_time(row["deleted_at"])] if with_deleted else []))
    return table


def _justify(column: str) -> Any:
    return "right" if column in ("members", "today", "percent") else "left"


def _today(entered: int, exited: int) -> str:
    return " ".join([*([f"+{entered:,}"] if entered else []), *([f"-{exited:,}"] if exited else [])])


def _percent(percent: Any) -> str:
    return "" if percent is None else f"{percent_text(percent)} %"


def _print_facts(facts: Record) -> None:
    state = f"deleted at {moment(facts['deleted_at'])}" if facts["deleted_at"] else _members(facts)
    out.print(Text.assemble((plain(facts["segment"]), "bold magenta"), f"  {state}"))
    for name, value in (
        ("description", facts["description"]),
        ("owner", facts["owner"]),
        ("tags", ", ".join(facts["tags"])),
        ("percent", _percent(facts["percent"]) and _percent(facts["percent"]) + _rollout(facts)),
        ("created", moment(facts["created_at"])),
        ("segment_id", facts["segment_id"]),
        ("salt", facts["salt"]),
    ):
        if value:
            out.print(Text.assemble((f"{name:<13}", "dim"), plain(value)))


def _members(facts: Record) -> str:
    if facts["members"] is None:
        return NOT_COUNTED
    behind = facts["last_sequence"] - facts["as_of_sequence"]
    text = "1 member" if facts["members"] == 1 else f"{facts['members']:,} members"
    return text + (f", as of {behind:,} journal rows ago" if behind else "")


def _rollout(facts: Record) -> str:
    if facts["rollout_requested_at"] is None:
        return ""
    changed = f"{facts['rollout_entered']:,} entered, {facts['rollout_exited']:,} exited"
    if facts["rollout_finished_at"] is not None:
        return f", complete since {moment(facts['rollout_finished_at'])}: {changed}"
    done, users = facts["rollout_done"], facts["rollout_users"]
    return f", on its way to {_percent(facts['rollout_percent'])}: {done:,} of {users:,} users decided, {changed}"


def _print_days(days: Sequence[Record]) -> None:
    if not any(day["entered"] or day["exited"] for day in days):
        out.print(Text(f"no changes in the last {DAYS} days", "dim"))
        return
    top = max(max(day["entered"], day["exited"]) for day in days)
    out.print(
        Text(f"\nthe last {DAYS} days (UTC), {days[0]['day']} to {days[-1]['day']}; the highest is {top:,}", "dim")
    )
    for name, style in (("entered", "green"), ("exited", "red")):
        bars = "".join(BARS[0 if not day[name] else 1 + (len(BARS) - 2) * day[name] // top] for day in days)
        out.print(Text.assemble((f"{name:<9}", "dim"), (bars, style), f"  {sum(day[name] for day in days):,}"))


def _print_changes(changes: Sequence[tuple[Record, dict[str, Any]]]) -> None:
    if changes:
        out.print()
    for row, event in changes:
        command = f"  {plain(row['command_id'])} of {plain(row['command_source'])}" if row["command_id"] else ""
        out.print(line(event, local_time(row["time"])).append(f"{command}  #{row['sequence']}", "dim"))


def _document(
    facts: Record, days: Sequence[Record], changes: Sequence[tuple[Record, dict[str, Any]]]
) -> dict[str, Any]:
    """What `--json` prints: the facts, a list of days, and the events about the segment."""
    hidden = ("segment_key", "asked_at", "last_sequence")
    known = {name: value for name, value in facts.items() if name not in hidden and not name.startswith("rollout_")}
    rollout = {name.removeprefix("rollout_"): value for name, value in facts.items() if name.startswith("rollout_")}
    return known | {
        "rollout": rollout if facts["rollout_requested_at"] else None,
        "days": [dict(day) for day in days],
        "changes": [event | {"causationsource": row["command_source"]} for row, event in changes],
    }


def _json(data: dict[str, Any]) -> str:
    return encode_data({name: str(item) if isinstance(item, UUID) else item for name, item in data.items()}).decode()
