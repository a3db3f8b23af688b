"""What every event of the worker is held against, beside its own data."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, get_args
from zlib import crc32

import asyncpg

from schemas.events import EVENTS, EventType, check_event
from schemas.topics import topic_name
from tests.support.line import JSON_HEADERS, Line, Said
from worker.settings import Settings


def hold_envelope(line: Line, one: Said, *, partitions: int = 3) -> None:
    """The documented form, nothing besides, in the right place."""
    name: EventType = next(known for known in get_args(EventType) if known == one.type)
    check_event(name, json.dumps(one.event).encode())
    assert one.topic == topic_name(line.settings.topic_prefix, EVENTS[name].topic)
    assert one.headers == dict(JSON_HEADERS)
    assert one.event["source"] == line.settings.event_source
    assert one.event["datacontenttype"] == "application/json"
    assert one.event["time"].endswith("Z")
    assert one.event.get("partitionkey") == (None if one.key is None else one.key.decode(errors="replace"))
    if name != "membership.snapshot":
        assert one.event["id"].endswith(f"-{one.event['sequence']}")
        assert one.partition == crc32(one.key or b"") % partitions


def instant(text: str | None) -> datetime:
    """An event's time."""
    assert text is not None
    return datetime.fromisoformat(text)


async def rows(settings: Settings, sql: str, *arguments: Any) -> list[dict[str, Any]]:
    """What the database holds, as another program reads it."""
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    try:
        return [dict(row) for row in await connection.fetch(sql, *arguments)]
    finally:
        await connection.close()


async def execute(settings: Settings, sql: str) -> None:
    """Change what the database holds, as a person or a fault does."""
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


async def active(settings: Settings, user_id: str) -> list[str]:
    """The user's segments in the view for SQL readers."""
    sql = "select segment from active_memberships where user_id = $1 order by segment"
    return [row["segment"] for row in await rows(settings, sql, user_id)]
