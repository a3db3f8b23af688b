"""The relay over lists in place of Kafka: its own shares of events and states, published as a whole or not at all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar, cast

import pytest

from tests.model.mortal import Mortal
from tests.model.strategies import Relay
from worker.errors import Unavailable
from worker.journal import cursor, snapshot
from worker.journal.cursor import Cursor
from worker.journal.pace import Pace
from worker.journal.share import Share, Shares, topics_of
from worker.journal.state import MEMBERSHIP_BYTES, StateRecord
from worker.postgres.session import Database, Record
from worker.settings import Settings

T = TypeVar("T")
TURNS_MAX = 500


@dataclass(frozen=True)
class Moment:
    """The topic after one of the relay's transactions."""

    sequence: int
    """Events up to it were published by then, …"""
    head: int
    """… and up to this one journaled."""
    topic: dict[str, StateRecord]
    """What compaction leaves."""
    current: frozenset[str]
    """Users whose record was written since the topic was switched on last, or made anew."""
    is_whole: bool
    """Whether a snapshot has been written since then."""


class Interrupted(Mortal):
    """A session that comes to its end when it is told to, and between whose statements others get on."""

    waits: int | None = None
    meanwhile: Callable[[], Awaitable[None]] | None = None

    async def fetch(self, name: str, *arguments: Any) -> list[Record]:
        """… after what others do, once so many statements were run."""
        if self.waits == 0 and self.meanwhile:
            await self.meanwhile()
        if self.waits is not None:
            self.waits -= 1
        return await super().fetch(name, *arguments)


class Relaying:
    """Whichever worker is the relay, with the topic of states or without it, and what is in Kafka."""

    def __init__(self, settings: Settings, clock: Callable[[], datetime], head: Callable[[], int]) -> None:
        self._settings, self._clock, self._head = settings, clock, head
        self._session = cast("Interrupted", Interrupted.of(Database(settings), "relay"))
        self._pace = Pace(1, 1, 1)
        self._cursor = cursor.encode(Cursor())
        self._asked_for = 0
        self._current: frozenset[str] = frozenset()
        self._is_whole = False
        self.sequence = 0
        self.topic: dict[str, StateRecord] = {}
        self.log: list[StateRecord] = []
        """All that was written since the topic was there, …"""
        self.records: list[StateRecord] = []
        """… and since it was there for the first time."""
        self.moments: list[Moment] = []
        self.replaced(is_on=True)

    async def close(self) -> None:
        """End the session."""
        await self._session.close()

    def replaced(self, *, is_on: bool) -> None:
        """Another worker becomes the relay: it knows nothing but what is in Kafka and in PostgreSQL."""
        self._is_on = is_on
        settings = self._settings.model_copy(update={"state_topic": "on" if is_on else "off"})
        partitions = dict.fromkeys(topics_of(settings), 1)
        self._shares = Shares(self._session, settings, self._pace, self._clock, "test", partitions, _led)
        if self._shares._snapshot:
            self._shares._snapshot._earlier._whole = cast("Any", Whole(self.log))

    async def asked(self, *, is_lost: bool) -> None:
        """Somebody asks for a snapshot, perhaps because the topic was lost and was made anew."""
        (row,) = await self._session.fetch("snapshot_request")
        if is_lost:
            self._asked_for = row["snapshot"]
            self.topic, self.log = {}, []
            self._forget_what_is_current()
            self.replaced(is_on=self._is_on)

    async def go_on(self, step: Relay, meanwhile: Callable[[], Awaitable[None]]) -> None:
        """So many transactions at most; where the session ends, the one at hand comes to nothing."""
        session = self._session
        session.ends_after, session.waits, session.meanwhile = step.ends, step.waits, meanwhile
        self._pace._rows_max, self._pace._bytes_max = step.rows, step.memberships * MEMBERSHIP_BYTES
        self._pace._halvings = 0
        for _ in range(step.turns):
            with suppress(Unavailable):
                if not await self._turn(step):
                    break
                continue
            self.replaced(is_on=self._is_on)
        session.ends_after, session.waits = None, None

    async def finish(self) -> None:
        """Publish all that is left, with the topic of states, and its snapshot to the end."""
        if not self._is_on:
            self.replaced(is_on=True)
        await self.go_on(Relay(TURNS_MAX, rows=100, users=4, memberships=1_000), _nothing)

    async def _turn(self, step: Relay) -> bool:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(snapshot, "BYTES_MAX", step.memberships * MEMBERSHIP_BYTES)
            if self._shares._snapshot:
                self._shares._snapshot._users_max = step.users
                self._shares._snapshot._look_at = 0.0
            share = await self._shares.after(cursor.decode(self._cursor), is_stopping=False)
        if share is not None:
            self._publish(share)
        return share is not None

    def _publish(self, share: Share) -> None:
        assert [event.sequence for event in share.events] == list(
            range(self.sequence + 1, self.sequence + 1 + len(share.events))
        )
        assert share.cursor.sequence == self.sequence + len(share.events)
        self.sequence = share.cursor.sequence
        self._cursor = cursor.encode(share.cursor)
        self.log += share.states
        self.records += share.states
        written = {record.key.decode(): record for record in share.states}
        self.topic = self.topic | written
        self._current |= written.keys()
        if not self._is_on:
            assert not share.states
            self._forget_what_is_current()
        place = share.cursor.place
        if place is not None and place.stage == "done" and place.snapshot >= self._asked_for:
            self._is_whole = True
        self.moments.append(Moment(self.sequence, self._head(), self.topic, self._current, self._is_whole))

    def _forget_what_is_current(self) -> None:
        self._current, self._is_whole = frozenset(), False


class Whole:
    """Stands for the one that reads the topic: what it held when the reading began, two records at a time."""

    def __init__(self, log: list[StateRecord]) -> None:
        self._log = log
        self._left: list[StateRecord] | None = None

    async def next(self, _: int | None = None) -> list[StateRecord] | None:
        """The next records; None at the end."""
        if self._left is None:
            self._left = list(self._log)
        found, self._left = self._left[:2], self._left[2:]
        return found or None

    async def close(self) -> None:
        """What is read next begins anew."""
        self._left = None


async def _led(work: Coroutine[Any, Any, T]) -> T:
    return await work


async def _nothing() -> None:
    """Nobody does anything."""
