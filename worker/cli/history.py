"""`history`: what happened to a user, a page at a time, as the events that subscribers have read."""

from __future__ import annotations

import json
import shlex
from typing import Any

from rich.text import Text

from schemas.topics import Topic, topic_name
from worker.cli import coming
from worker.cli.console import out, patience, plain, write
from worker.cli.render import line, local_time, moment
from worker.cli.why import journal
from worker.cli.why.gather import unknown
from worker.errors import ConfigurationError
from worker.journal.encode import Encoder
from worker.postgres.session import Record
from worker.settings import load


async def history(user_id: str, *, limit: int, before: int | None, months: journal.Months, as_json: bool) -> None:
    """Print the page; raises ConfigurationError where nothing is known of the user."""
    settings = load()
    topic = topic_name(settings.topic_prefix, Topic.MEMBERSHIP_COMMANDS)
    async with journal.patient(settings, "history") as session:
        reach = await session.row("journal_reach", user_id)
        end = reach["last_sequence"] + 1 if before is None else before
        with patience("reading the journal"):
            rows = await journal.everything(session, user_id, topic, before=end, count=limit + 1, months=months)
        shown = rows[:limit]
        events = [json.loads(event.value) for event in await Encoder(session, settings, reach["id"]).encode(shown)]
        ahead = await session.fetch("schedule_list", None, user_id, coming.SHOWN + 1) if before is None else []
    if not as_json:
        coming.lines(ahead)
    if not rows and before is None and reach["registered_at"] is None:
        raise ConfigurationError(unknown(user_id, reach, months))
    for row, event in zip(shown, events, strict=True):
        if as_json:
            write(json.dumps(event | {"causationsource": row["command_source"]}, ensure_ascii=False))
        else:
            out.print(_line(row, event))
    if not as_json:
        more = _next_page(user_id, shown[-1]["sequence"], limit, months) if len(rows) > limit else None
        out.print(Text(more or _end(reach, months, is_empty=not rows), "dim"))


def _line(row: Record, event: dict[str, Any]) -> Text:
    text = line(event, local_time(row["time"]))
    command = f"  {plain(row['command_id'])} of {plain(row['command_source'])}" if row["command_id"] else ""
    return text.append(f"{command}  #{row['sequence']}", "dim")


def _next_page(user_id: str, sequence: int, limit: int, months: journal.Months) -> str:
    words = ["segmentation", "history", "--limit", str(limit), "--before", str(sequence)]
    words += ["--since", months.since] if months.since else []
    words += ["--until", months.until] if months.until else []
    words += ["--", user_id] if user_id.startswith("-") else [user_id]
    return f"there is more: {shlex.join(words)}"


def _end(reach: Record, months: journal.Months, *, is_empty: bool) -> str:
    text = "nothing" if is_empty else "that is all"
    if months.since or months.until:
        return f"{text} in the months that were read"
    if reach["first_sequence"] in (None, 1):
        return f"{text} in the journal"
    return f"{text} in the journal, which goes back to {moment(reach['first_time'])}"
