"""Stories about the topic of states: a relay that lags behind, is replaced, and writes snapshots chunk by chunk."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from tests.model.strategies import (
    END,
    KINDS,
    SEGMENTS,
    STEPS,
    USERS,
    Ask,
    Deliver,
    Expire,
    Relay,
    Replace,
    RollOut,
    Sent,
    Sweep,
    beginning,
)

PUBLISH = Relay(turns=20, rows=1_000, users=1_000, memberships=1_000)
CHUNK = Relay(turns=1, rows=1_000, users=1, memberships=1_000)
small = st.sampled_from(["change"] * 4 + ["register", "forget", "forget", "delete", "create", "update"])
commands = st.builds(Deliver, st.lists(small.flatmap(KINDS.__getitem__), min_size=1, max_size=4), st.just(True))
others = st.one_of(commands, commands, st.sampled_from([Expire(), Sweep(), RollOut(1)]))
relays = st.builds(
    Relay,
    turns=st.integers(1, 6),
    rows=st.sampled_from([1, 3, 1_000]),
    users=st.sampled_from([1, 2]),
    memberships=st.sampled_from([4, 8, 1_000]),
    ends=st.sampled_from([None, None, None]) | st.integers(0, 20),
    waits=st.integers(0, 20),
    meanwhile=others,
)
happenings = st.sampled_from([Replace(is_on=True), Replace(is_on=False), Ask(is_lost=False), Ask(is_lost=True)])
of_relay = st.one_of(relays, relays, relays, happenings)


def woven(stories: st.SearchStrategy[list[Any]]) -> st.SearchStrategy[list[Any]]:
    """The stories, with what concerns the relay in between."""
    return st.builds(_woven, stories, st.lists(st.tuples(st.integers(0, 20), of_relay), max_size=5))


def _woven(story: list[Any], steps: list[tuple[int, Any]]) -> list[Any]:
    story = list(story)
    for place, step in steps:
        story.insert(place % (len(story) + 1), step)
    return story


def followed_by_relay(story: Iterable[Any]) -> list[Any]:
    """What was journaled is published after each step."""
    return [one for step in story for one in (step, PUBLISH)]


def _change(name: str, user: str, **data: Any) -> Deliver:
    return Deliver([Sent(name, "membership.change", {"user_id": user} | data)], together=True)


def _forget(name: str, user: str) -> Deliver:
    return Deliver([Sent(name, "user.forget", {"user_id": user})], together=True)


def joined(segments: list[str]) -> list[Sent]:
    """Every user joins them."""
    data = [{"user_id": user, "add": [(name, None) for name in segments]} for user in USERS]
    return [Sent(f"join {one['user_id']}", "membership.change", one) for one in data]


everybody_in: Deliver = Deliver([*beginning.records, *joined(SEGMENTS[:2])], together=True)
OFF = [Replace(is_on=False), everybody_in, PUBLISH]
"""There are data when the topic is switched on for the first time."""
MEANWHILE: list[Any] = [
    _forget("away", USERS[1]),
    _change("leave", USERS[1], remove=SEGMENTS[:2]),
    _change("more", USERS[1], add=[(SEGMENTS[3], None)], remove=SEGMENTS[:1]),
]
"""What may happen to a user between any two statements of a relay that writes a snapshot of three users."""
FIRST = [
    [*OFF, Replace(is_on=True), replace(CHUNK, turns=12, waits=waits, meanwhile=step)]
    for step in MEANWHILE
    for waits in range(2, 26, 5)
]
EMPTY_THEN_FORGOTTEN: list[Any] = [
    everybody_in,
    _change("leave", USERS[0], remove=SEGMENTS[:2]),
    PUBLISH,
    Replace(is_on=False),
    _forget("away", USERS[0]),
    _forget("away too", USERS[1]),
    _change("leave too", USERS[2], remove=SEGMENTS[:2]),
    PUBLISH,
    Replace(is_on=True),
]
"""While the topic was off users were forgotten, one of whom was in no segment, and one has left."""
LOST = [everybody_in, PUBLISH, Ask(is_lost=True), replace(CHUNK, turns=5), Ask(is_lost=False), CHUNK]
"""A snapshot is asked for in the middle of another one."""
DYING = [*OFF, Replace(is_on=True), *(replace(CHUNK, turns=3, ends=ends) for ends in range(2, 12, 3))]
BESIDE: list[Any] = [*OFF, Replace(is_on=True), CHUNK, CHUNK]
for number, one in enumerate(USERS, 3):
    BESIDE += [_change(f"beside {one}", one, remove=SEGMENTS[:1]), replace(CHUNK, waits=number, meanwhile=MEANWHILE[2])]
"""Between the states beside events and those of a chunk, in one transaction, a user changes who is in both."""
FULL = [
    Deliver([*beginning.records, *joined(SEGMENTS)], together=True),
    PUBLISH,
    Deliver([Sent(f"known {user}", "user.register", {"user_id": user}) for user in USERS], together=True),
    *[replace(PUBLISH, turns=1, memberships=8)] * 3,
    Ask(is_lost=True),
    replace(PUBLISH, memberships=8),
]
"""The states of all users are too many for one transaction, which could take their events and the chunk's users."""
AHEAD: list[Any] = [
    *OFF,
    Deliver([Sent(f"again {number}", "user.register", {"user_id": USERS[0]}) for number in range(20)], together=True),
    _forget("away", USERS[2]),
    Replace(is_on=True),
    replace(CHUNK, turns=15, rows=1),
]
"""A snapshot is at its end before it is published that a user was forgotten, whom it did not find any more."""
CAME_AND_WENT: list[Any] = [
    everybody_in,
    _change("leave", USERS[0], remove=SEGMENTS[:2]),
    PUBLISH,
    Replace(is_on=False),
    _change("come", USERS[0], add=[(SEGMENTS[0], None)]),
    _change("leave again", USERS[0], remove=SEGMENTS[:1]),
    PUBLISH,
    Replace(is_on=True),
    PUBLISH,
]
"""What the topic said when it was switched off is true again when it is switched on."""
STATE_STORIES = [
    [*story, *END] for story in (*FIRST, EMPTY_THEN_FORGOTTEN, LOST, DYING, BESIDE, FULL, AHEAD, CAME_AND_WENT)
]


state_steps = st.one_of(commands, st.sampled_from(["expire", "sweep", "roll out", "pass"]).flatmap(STEPS.__getitem__))
tales = st.lists(st.one_of(state_steps, of_relay), min_size=6, max_size=16)
state_stories = tales.map(lambda story: [everybody_in, *story, *END])
