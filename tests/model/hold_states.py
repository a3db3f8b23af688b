"""The compacted topic of states, read at any moment and followed by the events after it, equals the tables."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime

from tests.model.compare import State, followed
from tests.model.happened import Event
from tests.model.naive import Model
from tests.model.relaying import Moment
from tests.model.world import World
from worker.journal.state import StateRecord

Held = dict[str, datetime | None]
"""A user's segments by generation, until when."""


class Journaled:
    """What the events say, up to any number."""

    def __init__(self, events: Iterable[Event]) -> None:
        self._deleted: dict[str, int] = {}
        self._numbers: dict[str, list[int]] = defaultdict(list)
        self._events: dict[str, list[Event]] = defaultdict(list)
        for number, event in enumerate(events, 1):
            if event["type"] == "segment.deleted":
                self._deleted[event["data"]["segment_id"]] = number
            if event["type"] == "membership.changed":
                self._numbers[event["key"]].append(number)
                self._events[event["key"]].append(event)

    def users(self) -> set[str]:
        """Of whom anything was told."""
        return {*self._events}

    def last(self, user: str, number: int) -> int:
        """Of the user's last event up to a number; 0 where there is none."""
        count = bisect_right(self._numbers[user], number)
        return self._numbers[user][count - 1] if count else 0

    def is_forgotten(self, user: str, number: int) -> bool:
        """Whether that is what it says."""
        count = bisect_right(self._numbers[user], number)
        return count > 0 and bool(self._events[user][count - 1]["data"]["reason"] == "user_forgotten")

    def after(self, user: str, number: int) -> list[Event]:
        """The user's events after a number."""
        return self._events[user][bisect_right(self._numbers[user], number) :]

    def held(self, user: str, number: int) -> Held:
        """The user's segments as of a number, those left out that were deleted by then."""
        held = followed({}, self._events[user][: bisect_right(self._numbers[user], number)])
        return {one: until for one, until in held.items() if self._deleted.get(one, number + 1) > number}


def hold_states(world: World, model: Model) -> None:
    """The last records say what the model says; older ones and the events after them lead there, too."""
    relaying, journaled = world.relaying, Journaled(world.journaled)
    assert relaying.sequence == world.sequence == len(world.journaled)
    living = {segment.generation for segment in model.segments.values()}
    wanted: dict[str, State] = defaultdict(dict)
    for (user, generation), row in model.members.items():
        if row.included and generation in living:
            wanted[user][generation] = (row.expires_at, row.origin, row.since)
    states = {id(record): world.reader.state(record.value) for record in relaying.records}
    for user in relaying.topic.keys() | journaled.users():
        record = relaying.topic.get(user)
        state, there = states[id(record)] if record else {}, wanted[user]
        if model.lists.imports:  # they change whose doing a membership is without an event about the user
            state, there = _without_origin(state), _without_origin(there)
        assert state == there, record
        assert user in model.users or record is None or record.value is None, record
    sequences = [record.sequence for record in relaying.records]
    assert sequences == sorted(sequences)
    for record in relaying.records:
        _hold_record(record, states[id(record)], journaled, has_lists=bool(model.lists.imports))
    for moment in relaying.moments:
        _hold_moment(moment, states, journaled)
    assert relaying.moments[-1].is_whole
    ends = {user: {one: until for one, (until, _, _) in held.items()} for user, held in wanted.items()}
    for user in journaled.users():  # None: whoever has read nothing of the user yet
        for one in (None, *(record for record in relaying.records if record.key.decode() == user)):
            begin, sequence = (states[id(one)], one.sequence) if one else ({}, 0)
            found = followed(begin, journaled.after(user, sequence))
            assert {one: until for one, until in found.items() if one in living} == ends[user], (user, one)


def _hold_record(record: StateRecord, state: State, journaled: Journaled, *, has_lists: bool) -> None:
    """It says what the events up to its sequence say, no less and no more: then those after it fit."""
    user = record.key.decode()
    assert _untils(state) == journaled.held(user, record.sequence), record
    is_forgotten = journaled.is_forgotten(user, record.sequence)
    if record.value is None:
        assert is_forgotten, record
    else:  # a list may register a user who was forgotten, without an event, as nothing has changed for the user
        assert not is_forgotten or has_lists, record


def _hold_moment(moment: Moment, states: dict[int, State], journaled: Journaled) -> None:
    """Whoever reads the topic, and then the events after those that were published by then, lacks none.

    While a snapshot is written that holds for those whose record is there already. What it does not say anew, as it is
    true, may be what was journaled by then and was yet to be published.
    """
    for user in journaled.users() if moment.is_whole else moment.current:
        record = moment.topic.get(user)
        if record and user in moment.current:
            assert record.sequence >= journaled.last(user, moment.sequence), (user, moment)
        else:
            held = _untils(states[id(record)]) if record else {}
            sequences = range(moment.sequence, moment.head + 1)
            assert any(journaled.held(user, number) == held for number in sequences), (user, moment)


def _untils(state: State) -> Held:
    return {generation: until for generation, (until, _, _) in state.items()}


def _without_origin(state: State) -> State:
    return {generation: (until, "", since) for generation, (until, _, since) in state.items()}
