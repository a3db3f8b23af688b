"""What goes into the relay's next Kafka transaction: events, the states of their users, and the cursor after them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import NamedTuple

from worker.errors import Unavailable
from worker.journal import cursor
from worker.journal.cursor import Cursor, fingerprint
from worker.journal.encode import Encoder, Event
from worker.journal.pace import Pace
from worker.journal.state import StateRecord, States
from worker.postgres.clock import Clock, told
from worker.postgres.session import Record, Session
from worker.postgres.trust import local_time
from worker.settings import Settings

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Share(NamedTuple):
    """What one transaction writes."""

    events: Sequence[Event]
    states: Sequence[StateRecord]
    cursor: Cursor

    @property
    def records(self) -> list[Event | StateRecord]:
        """All of it but the cursor."""
        return [*self.events, *self.states]


class Shares:
    """Reads the journal on over the relay's session, in pieces as large as the pace says."""

    def __init__(self, session: Session, settings: Settings, pace: Pace, clock: Clock, journal_id: str) -> None:
        self._session, self._pace, self._clock = session, pace, clock
        self._encoder = Encoder(session, settings, journal_id)
        self._states: States | None = None
        if settings.state_topic == "on":
            self._states = States(session, settings, self._encoder.names, journal_id)
        self._since = EPOCH

    @property
    def topics(self) -> set[str]:
        """The topics that records may go to."""
        return self._encoder.topics | ({self._states.topic} if self._states else set())

    async def after(self, position: Cursor) -> Share | None:
        """What comes after the cursor; None where nothing waits."""
        rows = await self._read(position.sequence)
        if not rows:
            return None
        await _require_no_gap(self._session, position.sequence, rows)
        now = min(await told(self._session, self._clock), local_time())
        states: Sequence[StateRecord] = ()
        if self._states:
            rows, states = await self._beside(self._states, rows, now)
        events = await self._encoder.encode(rows, now)
        self._since = rows[-1]["time"]
        return Share(events, states, Cursor(rows[-1]["sequence"], fingerprint(rows[-1])))

    async def _read(self, sequence: int) -> Sequence[Record]:
        rows_max = min(self._pace.rows, self._states.rows_max) if self._states else self._pace.rows
        return await self._session.fetch("journal_read", sequence, self._since, rows_max, self._pace.bytes)

    async def _beside(
        self, states: States, rows: Sequence[Record], now: datetime
    ) -> tuple[Sequence[Record], Sequence[StateRecord]]:
        """The states of the rows' users, and so many of the rows as fit beside them."""
        try:
            return await states.beside(rows, self._pace.bytes, now)
        except Unavailable:
            self._pace.failed()  # perhaps they were too many for one statement
            raise


async def _require_no_gap(session: Session, sequence: int, rows: Sequence[Record]) -> None:
    """The rows must follow the one before them, and each other; raises RelayHalted."""
    if rows[0]["sequence"] != sequence + 1:
        raise await cursor.gap(session, sequence, rows[0]["sequence"])
    if rows[-1]["sequence"] != sequence + len(rows):
        before, after = next(
            (one["sequence"], two["sequence"]) for one, two in pairwise(rows) if two["sequence"] != one["sequence"] + 1
        )
        raise await cursor.gap(session, before, after)
