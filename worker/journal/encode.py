"""Journal rows as events: the topic, the key and the bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from schemas.encode import encode_event
from schemas.envelope import STRUCTURED_HEADERS
from schemas.events import EVENTS, EventType
from schemas.topics import topic_name
from worker.errors import Unavailable
from worker.postgres.session import Record, Session
from worker.settings import Settings

SEGMENTS_KEPT_MAX = 100_000
"""Names of segments that are kept in memory; a segment's key never changes its name, so they are never stale."""


_HEADERS = list(STRUCTURED_HEADERS)  # aiokafka's builder takes a list only


class Event(NamedTuple):
    """What goes to Kafka."""

    topic: str
    key: bytes | None
    value: bytes
    timestamp_ms: int
    headers: list[tuple[str, bytes]]


class Encoder:
    """Makes events of the journal's rows; looks segments' names up over the relay's session."""

    def __init__(self, session: Session, settings: Settings, journal_id: str) -> None:
        self._session = session
        self._source = settings.event_source
        self._journal_id = journal_id
        self._topics = {name: topic_name(settings.topic_prefix, event.topic) for name, event in EVENTS.items()}
        self._segments: dict[int, tuple[str, str]] = {}

    @property
    def topics(self) -> set[str]:
        """The topics that events may go to."""
        return set(self._topics.values())

    async def encode(self, rows: Sequence[Record]) -> list[Event]:
        """The rows' events, in order."""
        await self._learn_segments(rows)
        return [self._event(row) for row in rows]

    async def _learn_segments(self, rows: Sequence[Record]) -> None:
        unknown = {key for row in rows for key in _segment_keys(row)} - self._segments.keys()
        if not unknown:
            return
        if len(self._segments) + len(unknown) > SEGMENTS_KEPT_MAX:
            self._segments.clear()
            unknown = {key for row in rows for key in _segment_keys(row)}
        for row in await self._session.fetch("segments_by_key", sorted(unknown)):
            self._segments[row["segment_key"]] = (row["segment"], str(row["segment_id"]))

    def _event(self, row: Record) -> Event:
        name: EventType = row["type"]
        if name == "membership.changed":
            subject = row["user_id"]
            key = subject.encode()
            data: Any = self._membership_data(row)
        elif name == "command.rejected":
            key = row["record_key"]
            detail = orjson.loads(row["detail"])
            subject = f"{detail['topic']}/{detail['partition']}/{detail['offset']}"
            data = orjson.Fragment(row["detail"])
        elif name in ("report.published", "report.failed"):
            detail = orjson.loads(row["detail"])
            subject = f"{detail['year']:04}-{detail['month']:02}"
            key = subject.encode()
            data = orjson.Fragment(row["detail"])
        elif name not in EVENTS:
            raise Unavailable(
                f"The journal's row {row['sequence']} is of type {name}, which this version does not know: a newer "
                "one has written it, and its relay will publish it. Upgrade this worker"
            )
        else:
            subject = self._segments[row["segment_key"]][0]
            key = subject.encode()
            data = orjson.Fragment(row["detail"])
        value = encode_event(
            id=f"{self._journal_id}-{row['sequence']}",
            source=self._source,
            type=name,
            time=row["time"],
            subject=subject,
            key=None if key is None else key.decode(errors="replace"),
            sequence=row["sequence"],
            data=data,
            causationid=row["command_id"],
            correlationid=row["correlation_id"],
            traceparent=row["traceparent"],
        )
        return Event(self._topics[name], key, value, int(row["time"].timestamp() * 1000), _HEADERS)

    def _membership_data(self, row: Record) -> dict[str, Any]:
        entered, renewed, times = row["entered"] or (), row["renewed"] or (), row["expires_at"]
        expires: Iterator[datetime | None] = iter(times or (None,) * (len(entered) + len(renewed)))
        return {
            "user_id": row["user_id"],
            "reason": row["reason"],
            "entered": self._until(entered, expires),
            "exited": [
                {"segment": self._segments[key][0], "segment_id": self._segments[key][1]} for key in row["exited"] or ()
            ],
            "renewed": self._until(renewed, expires),
            "unchanged": [self._segments[key][0] for key in row["unchanged"] or ()],
        }

    def _until(self, keys: Iterable[int], expires: Iterator[datetime | None]) -> list[dict[str, Any]]:
        """Items with their segment and expiry; takes as many of `expires` as there are keys."""
        return [
            {"segment": self._segments[key][0], "segment_id": self._segments[key][1], "expires_at": next(expires)}
            for key in keys
        ]


def _segment_keys(row: Record) -> Iterable[int]:
    if row["segment_key"] is not None:
        yield row["segment_key"]
    for column in ("entered", "exited", "renewed", "unchanged"):
        if row[column]:
            yield from row[column]
