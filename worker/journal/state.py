"""The state of users, for the compacted topic `memberships`: read in one statement, written beside their events.

What a record holds follows from the journal's rows up to its sequence and from nothing else, not even from the time: a
membership stands in it until the row that ends it, so that events after its sequence always fit to it. Only what is
in a segment that was deleted is gone with that.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from schemas.state import ID_HEADER, SPEC, encode_state, state_headers
from schemas.topics import topic_name
from worker.journal.encode import Event
from worker.journal.names import Names
from worker.postgres.session import Record, Session
from worker.settings import Settings

MEMBERSHIP_BYTES = 400
"""What a membership takes in a record, if its segment has a name of full length, bytes."""
PLACE, KEY = itemgetter(0), 3
"""Of the columns of states_read.sql: whose membership it is, and of which segment."""


class StateRecord(NamedTuple):
    """What goes to Kafka, as `Event` does; without a value it says that the user was forgotten."""

    topic: str
    key: bytes
    value: bytes | None
    timestamp_ms: int
    sequence: int
    headers: list[tuple[str, bytes]]


Outgoing = Event | StateRecord
"""What the relay writes."""


class States:
    """Reads users' states over the relay's session, and makes records of them."""

    def __init__(self, session: Session, settings: Settings, names: Names, journal_id: str) -> None:
        self._session, self._names, self._journal_id = session, names, journal_id
        self._source = settings.event_source
        self.topic = topic_name(settings.topic_prefix, SPEC.topic)
        self.rows_max = self._rows_max = settings.relay_rows_max
        """So many rows of the journal are worth reading, as the states of their users fit into one transaction."""

    async def beside(
        self, rows: Sequence[Record], bytes_max: int, now: datetime
    ) -> tuple[Sequence[Record], list[StateRecord]]:
        """So many of the rows as fit into one transaction together with the states of their users, and those states.

        They are read after the rows, so that they are never older.
        """
        users = touched(rows)
        records = await self.read(users, bytes_max, now)
        if len(records) == len(users):
            self.rows_max = min(2 * self.rows_max, self._rows_max)
            return rows, records
        fitting = rows[: within(rows, set(users[: len(records)]))]
        self.rows_max = min(2 * len(fitting), self._rows_max)
        return fitting, records

    async def read(self, users: Sequence[str], bytes_max: int, now: datetime) -> list[StateRecord]:
        """The states of so many users, from the first on, as make so many bytes; the first one's in any case."""
        if not users:
            return []
        rows = await self._session.fetch("states_read", users, bytes_max // MEMBERSHIP_BYTES)
        await self._names.learn({row[KEY] for row in rows} - {None})
        sequence, timestamp_ms = rows[0]["sequence"], int(now.timestamp() * 1000)
        headers = state_headers(self._source, now, sequence)
        records = []
        for n, held in groupby(rows, PLACE):
            user = users[n - 1]
            value = self._value(user, sequence, list(held))
            event_id = f"{self._journal_id}-{sequence}-{user}".encode()
            records.append(
                StateRecord(self.topic, user.encode(), value, timestamp_ms, sequence, [*headers, (ID_HEADER, event_id)])
            )
        return records

    def _value(self, user: str, sequence: int, rows: list[Record]) -> bytes | None:
        if not rows[0]["is_known"]:
            return None
        names, segments = self._names, []
        for _, _, _, key, origin, since, expires_at in rows:
            if key is not None:
                named = names[key]
                segments.append(
                    {
                        "segment": named.segment,
                        "segment_id": named.segment_id,
                        "origin": origin,
                        "since": since,
                        "expires_at": expires_at,
                    }
                )
        return encode_state(user, sequence, segments)


def touched(rows: Sequence[Record]) -> list[str]:
    """The users whose memberships these rows of the journal are about, in the order in which they come first."""
    return list(dict.fromkeys(row["user_id"] for row in rows if row["type"] == "membership.changed"))


def within(rows: Sequence[Record], users: set[str]) -> int:
    """How many of the rows, from the first on, are about none but these users."""
    for number, row in enumerate(rows):
        if row["type"] == "membership.changed" and row["user_id"] not in users:
            return number
    return len(rows)
