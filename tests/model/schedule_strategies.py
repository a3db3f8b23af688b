"""Stories about commands that take effect later: few of them, so that they come again, are cancelled, and meet."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from schemas.commands import COMMANDS
from schemas.producer import Place
from schemas.topics import Topic
from tests.model.happened import key_of
from tests.model.strategies import END, START, STEPS, Decide, Deliver, Expire, Garbage, Pass, Sent, beginning, records
from tests.model.world import SOURCE


def after(seconds: int) -> datetime:
    """So long after the story has begun."""
    return START + timedelta(seconds=seconds)


CANDIDATES = [
    Sent("p0", "segment.update", {"segment": "a", "percent": Decimal(100)}),
    Sent("p1", "segment.update", {"segment": "a", "percent": Decimal(0)}),
    Sent("p2", "segment.delete", {"segment": "a"}),
    Sent("p3", "segment.create", {"segment": "a", "percent": Decimal(50)}),
    Sent("p4", "membership.change", {"user_id": "u1", "add": [("a", None), ("b", None)]}),
    Sent("p5", "membership.change", {"user_id": "u1", "add": [("a", after(130))], "remove": ["b"]}, timed=False),
    Sent("p6", "membership.change", {"user_id": "42", "add": [("e", after(100)), ("nowhere", None)]}),
    Sent("p7", "user.forget", {"user_id": "u1"}),
    Sent("p8", "membership.change", {"user_id": "u1", "remove": ["a"]}),
]
INSTANTS = [after(seconds) for seconds in (5, 10, 10, 20, 45, 90)]


def cancelling(one: Sent, id: str, place: Place | None = None) -> Sent:  # noqa: A002
    """The command that cancels it; sent where it was sent, if no other place is named."""
    right = Place(COMMANDS[one.type].topic, key_of({"data": one.data}).encode())
    data = {"command_id": one.id, "command_source": SOURCE}
    return Sent(id, "schedule.cancel", data, place=place or right)


candidates = st.sampled_from(CANDIDATES)
scheduled = st.builds(lambda one, at: replace(one, at=at), candidates, st.sampled_from(INSTANTS))
elsewhere = [Place(Topic.MEMBERSHIP_COMMANDS, b"u1"), Place(Topic.SEGMENT_COMMANDS, b"a")]
cancelled = st.builds(
    cancelling,
    candidates,
    st.uuids().map(str) | st.sampled_from(["c1", "c2"]),
    st.sampled_from([None, None, None, *elsewhere]),
)
KINDS: dict[str, st.SearchStrategy[Sent | Garbage]] = {
    "scheduled": scheduled,
    "cancelled": cancelled,
    "ordinary": records,
}
mixed = st.sampled_from(["scheduled"] * 4 + ["cancelled"] + ["ordinary"] * 3).flatmap(KINDS.__getitem__)
MORE: dict[str, st.SearchStrategy[Any]] = {
    **STEPS,
    "mixed": st.builds(Deliver, st.lists(mixed, min_size=3, max_size=12), st.booleans()),
    "decide": st.builds(Decide, st.integers(1, 4), st.lists(st.none() | st.integers(0, 12), min_size=1, max_size=2)),
}
OFTEN = ["mixed"] * 5 + ["pass"] * 4 + ["decide"] * 4 + ["roll out", "expire", "sweep", "retain"]
LATER_END = [Pass(600), Decide(100, [None]), *END]
later_steps = st.sampled_from(OFTEN).flatmap(MORE.__getitem__)
later_stories = st.lists(later_steps, min_size=6, max_size=14).map(lambda story: [beginning, *story, *LATER_END])


def _ramp(number: int, percent: int, seconds: int) -> Sent:
    return Sent(f"r{number}", "segment.update", {"segment": "a", "percent": Decimal(percent)}, at=after(seconds))


RAMP = [Deliver([_ramp(1, 100, 30), _ramp(2, 75, 20), _ramp(3, 30, 10)], together=True), Pass(60), Decide(2, [3, None])]
"""Sent in another order than they are due in, and overdue."""
IN_TURN = [
    Deliver(
        [
            replace(CANDIDATES[4], at=after(10)),
            replace(CANDIDATES[2], at=after(20)),
            replace(CANDIDATES[3], at=after(30)),
            replace(CANDIDATES[8], at=after(40)),
            Sent("short", "membership.change", {"user_id": "42", "add": [("b", after(50))]}, at=after(40)),
        ],
        together=True,
    ),
    Pass(60),
    Decide(100, [None]),
    Expire(),
]
"""A membership before its segment is deleted, and after it is there again; one that is over before it is decided."""
FORGET = CANDIDATES[7]
CANCELS_FIRST = [
    Deliver(
        [
            cancelling(FORGET, "c0"),
            replace(FORGET, at=after(50)),
            cancelling(FORGET, "c1"),
            cancelling(FORGET, "c2"),
            replace(FORGET, at=after(50)),
            replace(FORGET, at=after(60)),
        ],
        together=True,
    ),
    Pass(60),
    Decide(1, [None]),
]
REGISTER = Sent("back", "user.register", {"user_id": "u1"})
LEAVING = Sent("leave", "user.forget", {"user_id": "u1"})
COME_BACK = [
    Deliver(
        [
            replace(CANDIDATES[4], at=after(10)),
            replace(FORGET, at=after(500)),
            replace(CANDIDATES[6], at=after(20)),
            LEAVING,
            replace(CANDIDATES[8], at=after(20)),
            cancelling(CANDIDATES[8], "c0"),
            REGISTER,
            replace(CANDIDATES[5], at=after(30)),
        ],
        together=True,
    ),
    Decide(1, [3, None]),
    Pass(60),
    Decide(1, [None]),
]
"""What was scheduled before the user was forgotten is in vain; what was after is not, nor is another user's."""
FORGOTTEN_LATER = [
    Deliver(
        [
            replace(CANDIDATES[4], at=after(10)),
            replace(FORGET, at=after(20)),
            replace(CANDIDATES[5], at=after(20)),
            replace(CANDIDATES[8], at=after(90)),
            Sent("again", "user.forget", {"user_id": "u1"}, at=after(90)),
        ],
        together=True,
    ),
    Pass(60),
]
"""The one who forgets was scheduled, too: what is due after it, at the same moment or far ahead, is in vain."""
STRANGER = [
    Deliver(
        [
            Sent("far", "membership.change", {"user_id": "z", "add": [("a", None)]}, at=after(500)),
            Sent("further", "user.forget", {"user_id": "z"}, at=after(600)),
            Sent("nobody", "user.forget", {"user_id": "z"}),
            cancelling(Sent("further", "user.forget", {"user_id": "z"}), "c0"),
            cancelling(Sent("further", "user.forget", {"user_id": "z"}), "c1"),
        ],
        together=True,
    ),
    Deliver([REGISTER, cancelling(Sent("far", "membership.change", {"user_id": "z"}), "c2")], together=True),
    Decide(1, [None]),
]
"""Nobody knows the user who is forgotten; until it is told to be in vain, a command may be taken back."""
IN_VAIN_FIRST = [
    Deliver([replace(CANDIDATES[4], at=after(10)), LEAVING, replace(FORGET, at=after(20))], together=True),
    Pass(60),
    Decide(100, [None]),
]
"""What is in vain has its turn by its instant, too."""
FIXED = [
    RAMP,
    IN_TURN,
    CANCELS_FIRST,
    COME_BACK,
    [*FORGOTTEN_LATER, Decide(100, [None])],
    [*FORGOTTEN_LATER, Decide(1, [2, None])],
    STRANGER,
    IN_VAIN_FIRST,
]
