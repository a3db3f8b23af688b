"""Events as lines that a person enjoys reading. What an event says is shown, never obeyed: no markup, no escapes."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from schemas.envelope import qualified, unqualified
from worker.cli.console import counted, percent_text, plain
from worker.cli.tail import Event

RECORD_BYTES_SHOWN_MAX = 120
DETAIL_CHARACTERS_MAX = 80
REASONS = {
    "command": "",
    "rollout": "by its percent",
    "expiry": "expired",
    "segment_deleted": "as the segment was deleted",
    "user_registered": "registered",
    "user_forgotten": "and is forgotten",
    "import": "by an import",
}
CAUSES = {"rollout": "rollout", "segment_deleted": "deletion"}

Styled = tuple[str, str]


def short_type(event: Event) -> str:
    """The event's type without what all of them have in common."""
    return unqualified(str(event.get("type", "?")))


def line(event: Event, stamp: str | None = None) -> Text:
    """One event after a stamp (the time of day, if none); what is of no known form is shown as it is."""
    data: Any = event.get("data")
    try:
        said = FORMS[short_type(event)](data)
    except (KeyError, TypeError, ValueError, AttributeError):  # not ours, or newer than this
        said = [(short_type(event), "bold"), ("  " + json.dumps(data, ensure_ascii=False), "")]
    stamp = stamp or _clock(event.get("time"))
    text = Text.assemble((stamp, "dim"), "  ")
    for part, style in said:
        head, *others = part.split("\n")
        text.append(plain(head), style)
        for other in others:
            text.append("\n" + " " * (len(stamp) + 2) + plain(other), style)
    text.rstrip()
    return text


def snapshot(event: Event) -> RenderableType:
    """The answer to a query, as a table."""
    data = event["data"]
    count = len(data["segments"])
    title = Text.assemble(
        (plain(data["user_id"]), "bold"), " is in ", counted(count, "segments") if count else "no segment"
    )
    if not count:
        return title
    table = Table(title=title, title_justify="left", title_style="none", box=SIMPLE_HEAD, pad_edge=False)
    for column in ("segment", "by", "since", "until"):
        table.add_column(column, header_style="dim", overflow="fold")
    for item in data["segments"]:
        until = Text(_moment(item["expires_at"]), "yellow") if item["expires_at"] else Text("for good", "dim")
        segment = Text(plain(item["segment"]), "magenta")
        table.add_row(segment, plain(item["origin"]), _moment(item["since"]), until)
    return table


def is_unchanged(event: Event) -> bool:
    """Whether a command was accepted and left all as it was."""
    data = event["data"]
    return (
        event["type"] == qualified("membership.changed")
        and data["reason"] == "command"
        and not (data["entered"] or data["exited"] or data["renewed"])
    )


def _membership(data: dict[str, Any]) -> list[Styled]:
    return [(data["user_id"], "bold"), ("  ", ""), *_changes(data)]


def _answer(data: dict[str, Any]) -> list[Styled]:
    names = ", ".join(item["segment"] for item in data["segments"])
    return [(data["user_id"], "bold"), ("  is in ", ""), (names or "no segment", "magenta")]


def _segment(verb: str, style: str) -> Callable[[dict[str, Any]], list[Styled]]:
    return lambda data: [(data["segment"], "bold magenta"), ("  segment ", ""), (verb, style), *_details(data)]


def _populated(data: dict[str, Any]) -> list[Styled]:
    counts = [f"{data[word]:,} {word}" for word in ("entered", "exited") if data[word]] or ["nobody was in it"]
    cause = CAUSES.get(data["cause"], data["cause"])
    return [(data["segment"], "bold magenta"), (f"  {cause} complete: {', '.join(counts)}", "")]


def _published(data: dict[str, Any]) -> list[Styled]:
    return [(f"{data['year']}-{data['month']:02}", "bold"), (f"  report published: {data['link']}", "")]


def _failed(data: dict[str, Any]) -> list[Styled]:
    why = f"  report failed, {data['code']}: {data['message']}"
    return [(f"{data['year']}-{data['month']:02}", "bold"), (why, "red")]


def _import(words: str) -> Callable[[dict[str, Any]], list[Styled]]:
    return lambda data: [
        (data["import"], "bold"),
        ("  import into ", ""),
        (data["segment"], "magenta"),
        (" " + words.format_map(data), ""),
    ]


def _scheduled(words: str, style: str) -> Callable[[dict[str, Any]], list[Styled]]:
    """`words` with the instant in them."""

    def said(data: dict[str, Any]) -> list[Styled]:
        subject = data[next((name for name in ("user_id", "segment") if name in data), "import")]
        name = unqualified(data["command_type"])
        return [
            (subject, "bold"),
            (f"  {name} ", ""),
            (words.format(_moment(data["effective_at"])), style),
            (f"  {data['command_id']}", "dim"),
        ]

    return said


def _changes(data: dict[str, Any]) -> list[Styled]:
    parts: list[Styled] = []  # each with the space before the next one
    for item in data["entered"]:
        parts.append((f"+{item['segment']} ", "green"))
        if item["expires_at"]:
            parts.append((f"until {_moment(item['expires_at'])} ", "dim"))
    for item in data["renewed"]:
        until = f"renewed until {_moment(item['expires_at'])}" if item["expires_at"] else "renewed, for good"
        parts += [(f"~{item['segment']} ", "yellow"), (f"{until} ", "dim")]
    parts += [(f"-{item['segment']} ", "red") for item in data["exited"]]
    parts += [(f"={name} ", "dim") for name in data["unchanged"]]
    if data["unchanged"]:
        parts.append(("as before ", "dim"))
    reason = REASONS.get(data["reason"], data["reason"])
    return [*parts, (reason or ("" if parts else "nothing to change"), "dim" if parts else "")]


def _details(data: dict[str, Any]) -> list[Styled]:
    parts = [_cut(data["description"])] if data.get("description") else []
    parts += [f"owner {_cut(data['owner'])}"] if data.get("owner") else []
    parts += [f"tags {_cut(', '.join(data['tags']))}"] if data.get("tags") else []
    parts += [f"{percent_text(data['percent'])} % of all users"] if data.get("percent") is not None else []
    return [("  " + " · ".join(parts), "dim")] if parts else []


def _rejected(data: dict[str, Any]) -> list[Styled]:
    parts = [("rejected ", "bold red"), (data["code"], "red"), (f"  {data['message']}", "")]
    errors = data["errors"]
    if len(errors) == 1 and errors[0]["message"] in data["message"]:
        errors = []
    for item in errors:
        parts += [(f"\n{item['field']}", "red"), (f" {item['message']}", "")]
    if not data.get("command_type") and data.get("record"):
        with contextlib.suppress(ValueError):
            head = base64.b64decode(data["record"], validate=True)[:RECORD_BYTES_SHOWN_MAX].decode(errors="replace")
            parts.append((f"\nthe record: {_cut(plain(head))}", "dim"))
    return parts


def _cut(text: str) -> str:
    return text if len(text) <= DETAIL_CHARACTERS_MAX else text[: DETAIL_CHARACTERS_MAX - 1] + "…"


def _clock(text: object) -> str:
    """Local time of day, milliseconds."""
    with contextlib.suppress(ValueError):
        return datetime.fromisoformat(str(text)).astimezone().strftime("%H:%M:%S.%f")[:-3]
    return "--:--:--.---"


def moment(at: datetime) -> str:
    """Local date and time of day, without what is zero."""
    return local_time(at).removesuffix(":00").removesuffix(" 00:00")


def local_time(at: datetime | None) -> str:
    """A table's moment, to the second; empty for none."""
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S") if at else ""


def _moment(text: str) -> str:
    return moment(datetime.fromisoformat(text))


FORMS: dict[str, Callable[[dict[str, Any]], list[Styled]]] = {
    "segment.created": _segment("created", "green"),
    "segment.updated": _segment("updated", "yellow"),
    "segment.deleted": _segment("deleted", "red"),
    "segment.populated": _populated,
    "membership.changed": _membership,
    "membership.snapshot": _answer,
    "command.rejected": _rejected,
    "command.scheduled": _scheduled("scheduled for {}", "cyan"),
    "command.unscheduled": _scheduled("will not take effect at {}", "yellow"),
    "report.published": _published,
    "report.failed": _failed,
    "import.began": _import("began"),
    "import.received": _import("has {received:,} user ids"),
    "import.completed": _import(
        "complete: {users:,} users, {entered:,} entered, {exited:,} exited, {renewed:,} renewed, {unknown:,} unknown"
    ),
    "import.failed": _import("failed, {code}: {message}"),
}
