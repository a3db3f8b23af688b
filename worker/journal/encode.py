"""Journal rows as events: the topic, the key and the bytes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import pairwise
from operator import itemgetter
from typing import Any, NamedTuple

import orjson

from schemas.encode import encode_event
from schemas.envelope import STRUCTURED_HEADERS
from schemas.events import EVENTS, SUBJECT_TOPICS, EventType, names_on
from schemas.topics import Topic, topic_name
from worker.errors import Unavailable
from worker.journal.alike import OWN, VARIES, Shape, bounds
from worker.journal.names import Names
from worker.postgres.session import Record, Session
from worker.settings import Settings

EVENT_ITEMS_MAX = 40_000
"""Segments in the lists of one event; with names of full length they just fit into the largest event."""
TIMESTAMP_MS_MAX = 2**63 - 1
KEY_CHARACTERS_SHOWN_MAX = 4_096
"""Of a refused record's key, which may be anything, so much is repeated in the event."""

_LISTS = ("entered", "exited", "renewed", "unchanged")
_HEADERS = list(STRUCTURED_HEADERS)  # aiokafka's builder takes a list only


SCHEDULE_EVENTS = frozenset(name for name, event in EVENTS.items() if event.others)
"""They go where the outcome of the command will go that they are about."""
IMPORT_EVENTS = frozenset(names_on(Topic.IMPORT_EVENTS)) - SCHEDULE_EVENTS

TOPICS = frozenset(event.topic for event in EVENTS.values()) | frozenset(SUBJECT_TOPICS.values())
"""Where events may go."""


class Event(NamedTuple):
    """What goes to Kafka."""

    topic: str
    key: bytes | None
    value: bytes
    timestamp_ms: int
    sequence: int
    headers: list[tuple[str, bytes]]


class Encoder:
    """Makes events of the journal's rows; looks segments' names up over the relay's session."""

    def __init__(self, session: Session, settings: Settings, journal_id: str) -> None:
        self.names = Names(session)
        self._source = settings.event_source
        self._journal_id = journal_id
        self._topics = {name: topic_name(settings.topic_prefix, event.topic) for name, event in EVENTS.items()}
        self._subject_topics = {
            what: topic_name(settings.topic_prefix, topic) for what, topic in SUBJECT_TOPICS.items()
        }

    async def encode(self, rows: Sequence[Record], now: datetime | None = None) -> list[Event]:
        """The rows' events, in order.

        The records' timestamps are not later than `now`, where that is given: Kafka refuses records whose time is far
        ahead of its own, and a journal that was once written with a wrong clock must be publishable. The events keep
        their `time`.
        """
        ends = bounds(rows)
        await self.names.learn(_segment_keys(rows[start] for start in ends[:-1]))
        newest_ms = int(now.timestamp() * 1000) if now else TIMESTAMP_MS_MAX
        events: list[Event] = []
        for start, end in pairwise(ends):
            if end - start == 1:
                events.append(self._event(rows[start], newest_ms))
            elif rows[start]["type"] == "membership.changed":
                events += self._alike(rows[start:end], newest_ms)
            else:
                events += [self._event(row, newest_ms) for row in rows[start:end]]
        return events

    def _alike(self, rows: Sequence[Record], newest_ms: int) -> list[Event]:
        """Events of users' changes that differ in number and user alone."""
        model = self._event(dict(rows[0]) | dict.fromkeys(OWN, VARIES), newest_ms)
        topic, timestamp_ms, value = model.topic, model.timestamp_ms, Shape(model.value).value
        return [
            Event(topic, user_id.encode(), value(sequence, user_id), timestamp_ms, sequence, _HEADERS)
            for sequence, user_id in map(itemgetter(*OWN), rows)
        ]

    def _event(self, row: Record | dict[str, Any], newest_ms: int) -> Event:
        topic, key, subject, data = self._addressed(row)
        value = encode_event(
            id=f"{self._journal_id}-{row['sequence']}",
            source=self._source,
            type=row["type"],
            time=row["time"],
            subject=subject,
            key=None if key is None else key.decode(errors="replace")[:KEY_CHARACTERS_SHOWN_MAX],
            sequence=row["sequence"],
            data=data,
            causationid=row["command_id"],
            causationsource=row["command_source"],
            correlationid=row["correlation_id"],
            traceparent=row["traceparent"],
        )
        timestamp_ms = min(int(row["time"].timestamp() * 1000), newest_ms)
        return Event(topic, key, value, timestamp_ms, row["sequence"], _HEADERS)

    def _addressed(self, row: Record | dict[str, Any]) -> tuple[str, bytes | None, str, Any]:
        """The event's topic, key, subject and data."""
        name: EventType = row["type"]
        if name == "membership.changed":
            subject = row["user_id"]
            return self._topics[name], subject.encode(), subject, self._membership_data(row)
        if name not in EVENTS:
            raise Unavailable(
                f"The journal's row {row['sequence']} is of type {name}, which this version does not know: a newer "
                "one has written it, and its relay will publish it. Upgrade this worker"
            )
        topic, data = self._topics[name], orjson.Fragment(row["detail"])
        if name == "command.rejected":
            detail = orjson.loads(row["detail"])
            return topic, row["record_key"], f"{detail['topic']}/{detail['partition']}/{detail['offset']}", data
        if name in ("report.published", "report.failed"):
            detail = orjson.loads(row["detail"])
            subject = f"{detail['year']:04}-{detail['month']:02}"
        elif name in SCHEDULE_EVENTS:
            detail = orjson.loads(row["detail"])
            what = next(what for what in SUBJECT_TOPICS if what in detail)
            topic, subject = self._subject_topics[what], detail[what]
        elif name in IMPORT_EVENTS:
            subject = orjson.loads(row["detail"])["import"]
        else:
            subject = self.names[row["segment_key"]].segment
        return topic, subject.encode(), subject, data

    def _membership_data(self, row: Record | dict[str, Any]) -> dict[str, Any]:
        entered, exited, renewed = row["entered"] or (), row["exited"] or (), row["renewed"] or ()
        unchanged, times, names = row["unchanged"] or (), row["expires_at"], self.names
        count = len(entered) + len(exited) + len(renewed) + len(unchanged)
        if count > EVENT_ITEMS_MAX:
            return self._membership_data(_cut(row)) | {"omitted": count - EVENT_ITEMS_MAX}
        return {
            "user_id": row["user_id"],
            "reason": row["reason"],
            "entered": entered and self._until(entered, times),
            "exited": exited and [names[key].item for key in exited],
            "renewed": renewed and self._until(renewed, times and times[len(entered) :]),
            "unchanged": unchanged and [names[key].segment for key in unchanged],
        }

    def _until(self, keys: Sequence[int], times: Sequence[datetime | None] | None) -> list[Any]:
        """Items with their segment and expiry; `times` has at least as many as there are keys, or there are none."""
        names = self.names
        if not times:
            return [names[key].item_without_end for key in keys]
        return [
            {"segment": names[key].segment, "segment_id": names[key].segment_id, "expires_at": time}
            for key, time in zip(keys, times, strict=False)
        ]


def _cut(row: Record | dict[str, Any]) -> dict[str, Any]:
    """The row with no more segments in its lists than an event may have, together."""
    room, lists = EVENT_ITEMS_MAX, {}
    for column in _LISTS:
        lists[column] = (row[column] or ())[:room]
        room -= len(lists[column])
    times, entered = row["expires_at"], len(row["entered"] or ())
    if times:
        times = times[: len(lists["entered"])] + times[entered : entered + len(lists["renewed"])]
    return lists | {"user_id": row["user_id"], "reason": row["reason"], "expires_at": times}


def _segment_keys(rows: Iterable[Record]) -> set[int]:
    """The keys of all segments that the rows name."""
    found: set[int] = set()
    for row in rows:
        if (key := row["segment_key"]) is not None:
            found.add(key)
        for column in _LISTS:
            if keys := row[column]:
                found.update(keys)
    return found
