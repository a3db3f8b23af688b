"""The password file, as libpq reads it."""

from __future__ import annotations

import re
import stat
from pathlib import Path

from worker.postgres.target import Host, Target

_FIELD = re.compile(r"((?:[^\\:]|\\.)*)(?::|$)")


def password(target: Target, host: Host) -> tuple[str, str]:
    """The password for this host, empty if there is none, and why the password file was not read, empty if it was."""
    if "password" in target.parameters:
        return target.parameters["password"], ""
    named = target.parameters.get("passfile")
    path = Path(named) if named else target.home / ".pgpass" if target.home else None
    lines, problem = _lines(path) if path else ([], "")
    wanted = ("localhost" if host.is_socket else host.host, str(host.port), target.database, target.user)
    for fields in map(_fields, lines):
        if len(fields) == 5 and all(field in ("*", value) for field, value in zip(fields, wanted, strict=False)):
            return fields[4], ""
    return "", problem


def _lines(path: Path) -> tuple[list[str], str]:
    """The file's lines, or what is wrong with it."""
    try:
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            return [], f"the password file {path} was not read, as others may read it: chmod 600 {path}"
        return path.read_text(encoding="utf-8").splitlines(), ""
    except FileNotFoundError:
        return [], ""
    except (OSError, UnicodeDecodeError):
        return [], f"the password file {path} can't be read"


def _fields(line: str) -> list[str]:
    """Five fields with colons between them; a backslash stands before a colon or a backslash that belongs to one."""
    if line.startswith("#"):
        return []
    fields: list[str] = []
    place = 0
    while place <= len(line) and len(fields) < 5:
        match = _FIELD.match(line, place)
        if match is None:  # a lone backslash at the end
            return []
        fields.append(re.sub(r"\\(.)", r"\1", match[1]))
        place = match.end() + (match.end() == len(line) and not match[0].endswith(":"))
    return fields
