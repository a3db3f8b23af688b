"""Events as lines that a person enjoys reading."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any

from rich.markup import escape
from rich.table import Table

from schemas.envelope import qualified
from worker.cli.tail import Event

RECORD_CHARACTERS_SHOWN_MAX = 60


def short_type(event: Event) -> str:
    """The event's type without what all of them have in common."""
    return str(event.get("type", "?")).removeprefix("segmentation.").removesuffix(".v1")


def line(event: Event) -> str:
    """One event, in rich's markup."""
    data, name = event.get("data", {}), short_type(event)
    when = f"[dim]{_time(event.get('time'))}[/]"
    match name:
        case "membership.changed":
            return f"{when}  [bold]{escape(data['user_id'])}[/]  {_changes(data)}  [dim]{data['reason']}[/]"
        case "command.rejected":
            return f"{when}  [bold red]rejected[/] [red]{data['code']}[/]: {escape(data['message'])}{_errors(data)}"
        case "segment.populated":
            return (
                f"{when}  [bold magenta]{data['segment']}[/] is through with its {data['cause']}: "
                f"{data['entered']} entered, {data['exited']} exited"
            )
        case "segment.created" | "segment.updated" | "segment.deleted":
            return f"{when}  segment [bold magenta]{data['segment']}[/] {name.rpartition('.')[2]}{_details(data)}"
        case "membership.snapshot":
            names = ", ".join(escape(item["segment"]) for item in data["segments"])
            return f"{when}  [bold]{escape(data['user_id'])}[/]  is in {names or 'no segment'}  [dim]answer[/]"
        case _:
            return f"{when}  {escape(name)} {escape(str(data))}"


def snapshot(event: Event) -> Table:
    """The answer to a query, as a table."""
    data = event["data"]
    table = Table(title=f"{escape(data['user_id'])}: {len(data['segments'])} active segments", title_justify="left")
    for column in ("segment", "origin", "since", "expires"):
        table.add_column(column)
    for item in data["segments"]:
        expires = _moment(item["expires_at"]) if item["expires_at"] else "never"
        table.add_row(f"[magenta]{item['segment']}[/]", item["origin"], _moment(item["since"]), expires)
    return table


def is_unchanged(event: Event) -> bool:
    """Whether a command was accepted and left all as it was."""
    data = event["data"]
    return (
        event["type"] == qualified("membership.changed")
        and data["reason"] == "command"
        and not (data["entered"] or data["exited"] or data["renewed"])
    )


def _changes(data: dict[str, Any]) -> str:
    parts = [f"[green]+{item['segment']}[/]{_until(item)}" for item in data["entered"]]
    parts += [f"[red]-{item['segment']}[/]" for item in data["exited"]]
    parts += [f"[yellow]~{item['segment']}[/]{_until(item)}" for item in data["renewed"]]
    parts += [f"[dim]={name}[/]" for name in data["unchanged"]]
    return " ".join(parts) or "[dim]no memberships touched[/]"


def _until(item: dict[str, Any]) -> str:
    return f" [dim]until {_moment(item['expires_at'])}[/]" if item["expires_at"] else ""


def _details(data: dict[str, Any]) -> str:
    parts = [f"{name} {data[name]!r}" for name in ("description", "owner") if data.get(name) is not None]
    if data.get("tags"):
        parts.append("tags " + ", ".join(data["tags"]))
    if data.get("percent") is not None:
        parts.append(f"{data['percent']} %")
    return f"  [dim]{escape('; '.join(parts))}[/]" if parts else ""


def _errors(data: dict[str, Any]) -> str:
    lines = "".join(f"\n    [red]{escape(item['field'])}[/]: {escape(item['message'])}" for item in data["errors"])
    if not data.get("command_type") and data.get("record"):
        shown = base64.b64decode(data["record"])[:RECORD_CHARACTERS_SHOWN_MAX].decode(errors="replace")
        lines += f"\n    [dim]the record begins with {escape(shown)!s}[/]"
    return lines


def _time(text: str | None) -> str:
    return datetime.fromisoformat(text).astimezone().strftime("%H:%M:%S.%f")[:-3] if text else "--:--:--.---"


def _moment(text: str) -> str:
    return datetime.fromisoformat(text).astimezone().strftime("%Y-%m-%d %H:%M:%S")
