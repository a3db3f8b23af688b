"""What is yet to come, by commands that take effect later: as lines for people, and as data for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from rich.text import Text

from worker.cli.console import out, percent_text, plain
from worker.cli.render import moment
from worker.postgres.session import Record

SHOWN = 10
VERBS = {
    "segment.create": "create the segment",
    "segment.update": "change the segment",
    "segment.delete": "delete the segment",
    "user.forget": "forget the user",
}


def what(row: Record) -> str:
    """What the command is to do, in a few words."""
    data: dict[str, Any] = json.loads(row["data"])
    name = row["command_type"]
    if name == "membership.change":
        return _memberships(data)
    if name == "import.commit":
        return "apply the list" + (f" to {plain(row['import_segment'])}" if row["import_segment"] else "")
    return VERBS.get(name, str(name)) + (_fields(data) if name in ("segment.create", "segment.update") else "")


def subject(row: Record) -> str:
    """What it is about: the user, the import or the segment."""
    return str(row["user_id"] or row["import"] or row["segments"][0])


def document(row: Record) -> dict[str, Any]:
    """The row as programs read it; `data` is as in the contract, with each ttl as an instant."""
    fields = ("command_id", "command_source", "command_type", "effective_at", "scheduled_at", "user_id", "import")
    data = json.loads(row["data"])
    return {name: row[name] for name in fields} | {"segment": data.get("segment", row["import_segment"]), "data": data}


def lines(rows: Sequence[Record]) -> None:
    """Print a line for each of the first ones, the soonest first, and how one sees the others; nothing for none."""
    if rows:
        out.print(Text("to come", "dim"))
    for row in rows[:SHOWN]:
        command = f"  {plain(row['command_id'])} of {plain(row['command_source'])}"
        text = Text.assemble((moment(row["effective_at"]), "cyan"), f"  {plain(subject(row))}: {what(row)}")
        out.print(text.append(command, "dim"))
    if len(rows) > SHOWN:
        out.print(Text("there are more: segmentation schedule lists them", "dim"))


def _memberships(data: dict[str, Any]) -> str:
    parts = []
    for item in data["add"]:
        if isinstance(item, str):
            parts.append(f"+{item}")
        else:
            parts.append(f"+{item['segment']} until {item['expires_at']}")
    parts += [f"-{name}" for name in data["remove"]]
    more = f" and {len(parts) - 5:,} more" if len(parts) > 5 else ""
    return plain(" ".join(parts[:5]) + more)


def _fields(data: dict[str, Any]) -> str:
    parts = [f"{percent_text(data['percent'])} %"] if data.get("percent") is not None else []
    parts += [f"{name} {data[name]}" for name in ("owner", "description") if name in data]
    parts += [f"tags {', '.join(data['tags'])}"] if "tags" in data else []
    return ": " + plain(", ".join(parts)) if parts else ""
