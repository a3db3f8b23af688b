"""Names of commands, naively: what came first under each, and which others were told that they are not the first."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

Name = tuple[str, str]


class Names:
    """Which names are taken, and by what."""

    def __init__(self) -> None:
        self._taken: dict[Name, tuple[datetime, str]] = {}
        self._told: dict[tuple[Name, str], datetime] = {}

    def __contains__(self, name: Name) -> bool:
        return name in self._taken

    def take(self, command: dict[str, Any], now: datetime) -> Literal["fresh", "repeated", "reused"]:
        """What the command is by its name, which is taken from now on."""
        name, said = (command["source"], command["id"]), _said(command)
        if name not in self._taken:
            self._taken[name] = (now, said)
            return "fresh"
        if said == self._taken[name][1] or (name, said) in self._told:
            return "repeated"
        self._told[name, said] = now
        return "reused"

    def remember(self, command: dict[str, Any], since: datetime) -> None:
        """Its name is taken from then on, which may be yet to come."""
        name = command["source"], command["id"]
        if name in self._taken:
            self._taken[name] = (since, self._taken[name][1])

    def forget(self, before: datetime) -> None:
        """What was decided before then is not remembered."""
        self._taken = {name: one for name, one in self._taken.items() if one[0] >= before}
        self._told = {name: at for name, at in self._told.items() if at >= before}


def _said(command: dict[str, Any]) -> str:
    """The command's type and data as text; a default that is written out says the same."""
    data = {name: value for name, value in sorted(command["data"].items()) if value not in ("release", "skip")}
    return repr((command["type"], data, command.get("at")))
