"""The compacted topic of states, read at any moment and followed by the events after it, equals the tables."""

from __future__ import annotations

from collections import defaultdict

from tests.model.compare import State, followed
from tests.model.happened import Event
from tests.model.naive import Model
from tests.model.world import World


def hold_states(world: World, model: Model) -> None:
    """The last records say what the model says; older ones and the events after them lead there, too."""
    if not world.has_states:
        return
    assert world.sequence == len(world.published)
    living = {segment.generation for segment in model.segments.values()}
    wanted: dict[str, State] = {user: {} for user in model.users}
    for (user, generation), row in model.members.items():
        if row.included and generation in living:
            wanted[user][generation] = (row.expires_at, row.origin, row.since)
    changes: dict[str, list[tuple[int, Event]]] = defaultdict(list)
    for number, event in enumerate(world.published, 1):
        if event["type"] == "membership.changed":
            changes[event["key"]].append((number, event))
    assert changes.keys() == world.topic.keys()
    for user, last in world.topic.items():
        _, latest = changes[user][-1]
        _hold_tombstone(last.value, latest, is_known=user in model.users)
        state, there = world.reader.state(last.value), wanted.get(user, {})
        if model.lists.imports:  # they change whose doing a membership is without an event about the user
            state, there = _without_origin(state), _without_origin(there)
        assert state == there
    for topic in world.moments:
        for user, changed in changes.items():
            record = topic.get(user)
            begin, sequence = (world.reader.state(record.value), record.sequence) if record else ({}, 0)
            found = followed(begin, [event for number, event in changed if number > sequence])
            of_living = {generation: until for generation, until in found.items() if generation in living}
            assert of_living == {generation: one[0] for generation, one in wanted.get(user, {}).items()}, (user, record)


def _hold_tombstone(value: bytes | None, latest: Event, *, is_known: bool) -> None:
    """A list may register a user who was forgotten, without an event: nothing has changed for the user."""
    was_forgotten = latest["data"]["reason"] == "user_forgotten"
    if is_known:
        assert value is not None or was_forgotten
    else:
        assert was_forgotten
        assert value is None


def _without_origin(state: State) -> State:
    return {generation: (until, "", since) for generation, (until, _, since) in state.items()}
