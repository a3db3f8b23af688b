"""Statements are files, in a folder for each room."""

from __future__ import annotations

import functools
from importlib import resources


@functools.cache
def statement(name: str) -> str:
    """The text of `sql/<room>/<name>.sql`; no two rooms have a statement of the same name."""
    rooms = (room for room in (resources.files("worker") / "sql").iterdir() if room.is_dir())
    file = next((room / f"{name}.sql" for room in rooms if (room / f"{name}.sql").is_file()), None)
    if file is None:
        raise AssertionError(f"there is no statement {name}.sql in any folder of worker/sql")
    return file.read_text(encoding="utf-8")
