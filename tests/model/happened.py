"""Events in the naive model's form, and its small words for them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

Event = dict[str, Any]
"""`type`, `key`, `causation` (a command's id or None) and `data`; `<segment>#<n>`, the n-th generation, is its id."""


def name_of(generation: str) -> str:
    """The segment that it is a generation of."""
    return generation.rpartition("#")[0]


def changed(
    causation: str | None,
    user: str,
    reason: str,
    entered: list[Any] = [],  # noqa: B006 - never changed
    exited: list[Any] = [],  # noqa: B006
    renewed: list[Any] = [],  # noqa: B006
    unchanged: list[Any] = [],  # noqa: B006
) -> Event:
    """What happened to a user's memberships."""

    def until(items: list[tuple[str, datetime | None]]) -> list[dict[str, Any]]:
        return [{"segment": name_of(g), "segment_id": g, "expires_at": at} for g, at in items]

    data = {
        "user_id": user,
        "reason": reason,
        "entered": until(entered),
        "exited": [{"segment": name_of(g), "segment_id": g} for g in exited],
        "renewed": until(renewed),
        "unchanged": [name_of(g) for g, _ in unchanged],
    }
    return {"type": "membership.changed", "key": user, "causation": causation, "data": data}


def rejected(causation: str, key: str, code: str, fields: set[str]) -> Event:
    data = {"code": code, "fields": sorted(fields)}
    return {"type": "command.rejected", "key": key, "causation": causation, "data": data}


def cleared(data: dict[str, Any]) -> dict[str, Any]:
    """An empty text is none."""
    return data | {field: data[field] or None for field in ("description", "owner") if field in data}


def key_of(command: dict[str, Any]) -> str:
    if command.get("place"):
        return str(command["place"].key.decode())
    data = command["data"]
    key: str = data.get("import") or data.get("segment") or data["user_id"]
    return key
