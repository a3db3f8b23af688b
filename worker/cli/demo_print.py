"""How the demo is shown: at a terminal lines are wrapped between words, in a pipe each is one line."""

from __future__ import annotations

import shlex
import textwrap
from typing import Any

import orjson
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from worker.cli.console import out, show
from worker.cli.render import line, short_type, snapshot
from worker.cli.tail import Event

INDENT = 4


def wrapped(text: Text, first: str = "", style: str = "dim") -> None:
    """The text, its further lines below the first one."""
    if not out.is_terminal:
        out.print(Text.assemble((first, style), text))
        return
    grid = Table.grid()
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(Text(first, style), text)
    out.print(grid, soft_wrap=False)


def command(words: list[str]) -> None:
    """As it would be typed; on more lines it can still be copied."""
    width = out.width - INDENT if out.is_terminal else 0
    head, *rest = shell_lines(words, width)
    out.print(Text.assemble(("  $ ", "dim"), head))
    for other in rest:
        out.print(Text(" " * INDENT + other))


def shell_lines(words: list[str], width: int) -> list[str]:
    """The words as a shell's command in lines of that width, 0 for one line; broken between words and within JSON.

    Between words a line ends with a backslash; within quotes, where JSON allows it, with nothing.
    """
    quoted = [shlex.quote(word) for word in words]
    if not width or len(" ".join(quoted)) <= width:
        return [" ".join(quoted)]
    lines, current = list[str](), ""
    for word in quoted:
        if current and len(current) + 1 + len(word) > width - 2:
            lines.append(current + " \\")
            current = ""
        current = f"{current} {word}" if current else word
        if len(current) > width - 2:
            *full, current = textwrap.wrap(current, width - 2, break_long_words=False, break_on_hyphens=False)
            lines += full
    return [*lines, current]


def event(told: Event) -> None:
    """What the worker said."""
    if short_type(told) == "membership.snapshot":
        show(Padding(snapshot(told), (0, 0, 0, INDENT)))
        return
    for number, text in enumerate(line(told).split("\n")):
        wrapped(text, "    " if number else "  → ")


def state(user_id: str, found: dict[str, Any] | None) -> None:
    """A record of the topic of states."""
    text = "no value: the user was forgotten" if found is None else orjson.dumps(found).decode()
    wrapped(Text(text), f"  {user_id}  ")


def caption(text: str) -> None:
    """What the next commands are about."""
    out.print()
    wrapped(Text(text, "bold cyan"))


def report(file: str, page: str | None) -> None:
    """Where the one thing is that stays; links are never broken."""
    out.print(Text("\nThe report", "bold cyan"))
    if page:
        out.print(Text.assemble("  to read    ", page))
    out.print(Text.assemble("  every row  ", file))
