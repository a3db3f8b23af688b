"""Tables: no word is ever broken, whatever the width; a pipe has none."""

from __future__ import annotations

import io
import shlex
from uuid import NAMESPACE_OID, uuid5

import pytest
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from worker.cli.console import counted, percent_text
from worker.cli.demo_print import shell_lines
from worker.cli.tables import print_whole

IDS = [str(uuid5(NAMESPACE_OID, str(number))) for number in range(3)]
LONG = "u" * 128


def _printed(width: int, *, is_terminal: bool, identifier: str) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=is_terminal, color_system=None, soft_wrap=True)
    table = Table("when", "what", "why", "until", "sequence", box=SIMPLE_HEAD, pad_edge=False)
    for row in range(3):
        why = f"the command {identifier} of /some/source, and so kept out"
        table.add_row("2026-11-24 15:37:30", "entered", why, "", str(row))
    print_whole(console, table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120, 200])
@pytest.mark.parametrize("identifier", [*IDS, LONG])
def test_an_id_is_never_broken(width: int, identifier: str) -> None:
    said = _printed(width, is_terminal=True, identifier=identifier)
    assert said.count(identifier) == 3
    assert said.count("15:37:30") == 3


def test_it_keeps_to_the_terminals_width_where_it_can() -> None:
    for width in (90, 100, 110, 150):
        said = _printed(width, is_terminal=True, identifier=IDS[0])
        assert max(len(line) for line in said.splitlines()) <= width
        assert "when" in said.splitlines()[1]
    narrow = _printed(60, is_terminal=True, identifier=IDS[0])
    assert narrow.splitlines()[0].startswith("when")
    assert "until" not in narrow, "what is empty is left out"


def test_a_pipe_has_no_width() -> None:
    said = _printed(80, is_terminal=False, identifier=LONG)
    assert sum(LONG in line and "kept out" in line for line in said.splitlines()) == 3


@pytest.mark.parametrize("width", [0, 50, 60, 80])
def test_a_command_on_several_lines_is_the_same_one(width: int) -> None:
    data = '{"user_id": "grace", "add": [{"segment": "beta", "ttl": "P2M"}, {"segment": "d", "ttl": "P1D"}]}'
    words = ["segmentation", "send", "membership.change", data, "--id", "order-4711"]
    lines = shell_lines(words, width)
    assert all(len(line) <= width for line in lines) or not width
    again = shlex.split("\n".join(lines).replace("\\\n", " "))
    assert [word.replace("\n", " ") for word in again] == words


def test_numbers_and_their_nouns() -> None:
    assert [counted(number, "reports") for number in (0, 1, 2, 1_000)] == [
        "0 reports",
        "1 report",
        "2 reports",
        "1,000 reports",
    ]
    assert [percent_text(value) for value in ("12.50", 12.5, 100, "0.00", "20")] == ["12.5", "12.5", "100", "0", "20"]
