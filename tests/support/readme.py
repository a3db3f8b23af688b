"""README.md as the tests read it: its blocks of code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

README = Path(__file__).parents[2] / "README.md"
FENCE = re.compile(r"^```(?P<language>\w+)(?P<marks>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A block of code; what needs Docker says so behind its language."""

    language: str
    needs_docker: bool
    text: str


def blocks() -> list[Block]:
    """All of them, in order."""
    text = README.read_text(encoding="utf-8")
    return [Block(one["language"], "docker" in one["marks"], one["text"]) for one in FENCE.finditer(text)]
