"""Rows for the journal, gathered as columns and appended in one statement, last in the transaction."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from schemas.decode import Command, Refusal
from schemas.encode import encode_data
from schemas.values import RECORD_KEY_BYTES_MAX
from worker.postgres.session import Record, Session


class Row(NamedTuple):
    """A row; arrays are PostgreSQL literals, `detail` is JSON text, all in the order of journal_append.sql."""

    type: str
    reason: str | None = None
    segment_key: int | None = None
    user_id: str | None = None
    entered: str | None = None
    exited: str | None = None
    renewed: str | None = None
    unchanged: str | None = None
    expires_at: str | None = None
    command_id: str | None = None
    command_source: str | None = None
    correlation_id: str | None = None
    traceparent: str | None = None
    record_key: bytes | None = None
    detail: str | None = None


def keys_literal(keys: Sequence[int]) -> str | None:
    """Segment keys as an integer array's literal; none is null."""
    return "{" + ",".join(map(str, keys)) + "}" if keys else None


def times_literal(times: Sequence[datetime | None]) -> str | None:
    """Times as an array's literal; null where all of them are."""
    if not any(times):
        return None
    return "{" + ",".join(f'"{time.isoformat()}"' if time else "NULL" for time in times) + "}"


def changed(
    command: Command[object] | None,
    user_id: str,
    reason: str,
    *,
    entered: Sequence[int] = (),
    exited: Sequence[int] = (),
    renewed: Sequence[int] = (),
    unchanged: Sequence[int] = (),
    expires_at: Sequence[datetime | None] = (),
) -> Row:
    """A user's memberships changed (or a command left all as it was); `expires_at` of entered, then of renewed."""
    return Row(
        "membership.changed",
        reason,
        None,
        user_id,
        keys_literal(entered) if entered else None,
        keys_literal(exited) if exited else None,
        keys_literal(renewed) if renewed else None,
        keys_literal(unchanged) if unchanged else None,
        times_literal(expires_at) if expires_at else None,
        command.id if command else None,
        command.source if command else None,
        command.correlationid if command else None,
        command.traceparent if command else None,
    )


def segment_event(command: Command[object] | None, event_type: str, segment_key: int, detail: dict[str, Any]) -> Row:
    """Something happened to a segment; `detail` is the event's data."""
    return _event(command, event_type, detail)._replace(segment_key=segment_key)


def report_event(command: Command[object] | None, event_type: str, detail: dict[str, Any]) -> Row:
    """Something became of a month's report; `detail` is the event's data."""
    return _event(command, event_type, detail)


def import_event(command: Command[object], event_type: str, segment_key: int, detail: dict[str, Any]) -> Row:
    """A command about an import was accepted; `detail` is the event's data."""
    return _event(command, event_type, detail)._replace(segment_key=segment_key)


def schedule_event(
    command: Command[object], event_type: str, detail: dict[str, Any], *, user_id: str | None, segment_key: int | None
) -> Row:
    """A command was put off, or that was taken back; `detail` is the event's data."""
    return _event(command, event_type, detail)._replace(user_id=user_id, segment_key=segment_key)


def import_outcome(row: Record, event_type: str, detail: dict[str, Any]) -> Row:
    """An import has ended; its row has the name of the command that closed it, and `detail` is the event's data."""
    return Row(
        event_type,
        segment_key=row["segment_key"],
        command_id=row["command_id"],
        command_source=row["command_source"],
        correlation_id=row["correlation_id"],
        traceparent=row["traceparent"],
        detail=encode_data(detail).decode(),
    )


def _event(command: Command[object] | None, event_type: str, detail: dict[str, Any]) -> Row:
    return Row(
        event_type,
        command_id=command.id if command else None,
        command_source=command.source if command else None,
        correlation_id=command.correlationid if command else None,
        traceparent=command.traceparent if command else None,
        detail=encode_data(detail).decode(),
    )


def rejected(
    refusal: Refusal,
    *,
    topic: str,
    partition: int,
    offset: int,
    key: bytes | None,
    value: bytes | None,
    record_bytes: int,
    record_bytes_kept: int,
) -> Row:
    """A record was not applied; the first so many bytes of its value are kept."""
    detail = {
        "code": refusal.code,
        "message": refusal.message,
        "errors": refusal.errors,
        "topic": topic,
        "partition": partition,
        "offset": offset,
        "command_id": refusal.command_id,
        "command_source": refusal.command_source,
        "command_type": refusal.command_type,
        "record": None if value is None else base64.b64encode(value[:record_bytes_kept]).decode(),
        "record_bytes": record_bytes,
    }
    optional = ("command_id", "command_source", "command_type")
    detail = {name: item for name, item in detail.items() if item is not None or name not in optional}
    return Row(
        "command.rejected",
        command_id=refusal.command_id,
        command_source=refusal.command_source,
        correlation_id=refusal.correlationid,
        traceparent=refusal.traceparent,
        record_key=key and key[:RECORD_KEY_BYTES_MAX],
        detail=encode_data(detail).decode(),
    )


class Appended(NamedTuple):
    """The last number that was given, and what time it is with the counter in hand."""

    last_sequence: int
    at: datetime


async def append(session: Session, rows: Sequence[Row], now: datetime, at: datetime | None = None) -> Appended | None:
    """Number the rows and append them; the counter's row stays locked until the transaction ends.

    `now` is when they were decided, `at` what time it shall be, where a test says so. Returns None without rows.
    """
    if not rows:
        return None
    return Appended(*await session.row("journal_append", now, *map(_column, zip(*rows, strict=True)), at))


def _column(values: Sequence[Any]) -> Sequence[Any] | None:
    """The column, or None for one of nothing but nulls: that stands for as many of them, and costs nothing."""
    return None if values.count(None) == len(values) else values
