"""Streams of commands for the property-based test: few names, so that they meet; good, bad and repeated ones."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from schemas.commands import CommandType
from schemas.producer import Place

START = datetime(2026, 1, 1, tzinfo=UTC)
USERS = ["u1", "42", "ü"]
ROLLED_OUT = ["a", "b", "c.d"]
"""Segments that may have a percent; so many may, where a user may be in LIMIT segments."""
SEGMENTS = [*ROLLED_OUT, "e"]
LIMIT = len(ROLLED_OUT)
GARBAGE = [
    (None, "malformed"),
    (b"", "malformed"),
    (b"{", "malformed"),
    (b"[]", "malformed"),
    (b'{"specversion":"1.0","id":"g","source":"/g","type":"segmentation.no.such.v1","data":{}}', "unknown_type"),
    (
        b'{"specversion":"1.0","id":"g","source":"/g","type":"segmentation.membership.change.v1",'
        b'"data":{"user_id":"u1","add":["a"],"month":2}}',
        "invalid",
    ),
]


@dataclass(frozen=True)
class Garbage:
    """A record that is no command, and the code of its rejection."""

    value: bytes | None
    code: str


@dataclass(frozen=True)
class Sent:
    """A command: `id` is from a small pool, so the same name comes again, also with other content.

    One that is not `timed` has no time but its record's, which is that of its delivery: so its expiry may have passed.
    """

    id: str
    type: CommandType
    data: dict[str, Any]
    timed: bool = True
    at: datetime | None = None
    """When it is to take effect."""
    place: Place | None = None
    """Where the command was sent that it cancels."""


@dataclass(frozen=True)
class Deliver:
    """Records in the order of their partitions, applied as one batch, or as one a partition at the same time."""

    records: list[Sent | Garbage]
    together: bool


@dataclass(frozen=True)
class Pass:
    """Time goes by."""

    seconds: int


@dataclass(frozen=True)
class RollOut:
    """Rollouts go on by so many turns, of two users each."""

    turns: int


@dataclass(frozen=True)
class Expire:
    """The expiry job runs."""


@dataclass(frozen=True)
class Sweep:
    """The memberships of deleted segments are ended."""


@dataclass(frozen=True)
class Retain:
    """Retention runs: names of old commands are forgotten."""


@dataclass(frozen=True)
class Tell:
    """The tally adds up what the journal has by now; the first time it counts the table."""


@dataclass(frozen=True)
class Work:
    """The imports' job takes so many turns, of two users each, in as many processes as `ends` has.

    Each comes to a sudden end after so many of its steps, where they are not None, and another one takes its place.
    """

    turns: int
    ends: list[int | None]


@dataclass(frozen=True)
class Decide:
    """What is due is decided, so many at once, in as many processes as `ends` has, each with its sudden end."""

    rows: int
    ends: list[int | None]


@dataclass(frozen=True)
class Meet:
    """A batch and the named jobs at the same time, the jobs in as many processes as there are lists of them.

    `ends`: after how many of its steps the session of the batch, and of each process, comes to a sudden end.
    """

    records: list[Sent | Garbage]
    leaders: list[list[str]]
    ends: list[int | None]


@dataclass(frozen=True)
class Relay:
    """The relay publishes so many times, each time so many rows of the journal and users of a snapshot at most.

    Its session comes to a sudden end after `ends` of its statements, and another worker takes its place. After `waits`
    of them others do `meanwhile`.
    """

    turns: int
    rows: int
    users: int
    memberships: int
    """So many memberships in states make a transaction full."""
    ends: int | None = None
    waits: int | None = None
    meanwhile: Any = None


@dataclass(frozen=True)
class Replace:
    """Another worker becomes the relay, with the topic of states switched on or off."""

    is_on: bool


@dataclass(frozen=True)
class Ask:
    """Somebody asks for a snapshot, perhaps because the topic of states was lost and was made anew."""

    is_lost: bool


users = st.sampled_from(USERS)
segments = st.sampled_from(SEGMENTS)
expiries = st.none() | st.integers(1, 12).map(lambda tens: START + timedelta(seconds=10 * tens))


@st.composite
def changes(draw: st.DrawFn) -> dict[str, Any]:
    """The data of a membership.change."""
    names = draw(st.lists(segments, min_size=1, max_size=3, unique=True))
    cut = draw(st.integers(0, len(names)))
    add = [(name, draw(expiries)) for name in names[:cut]]
    data: dict[str, Any] = {"user_id": draw(users)}
    if add:
        data["add"] = add
    if names[cut:]:
        data["remove"] = names[cut:]
    return data


def of(command_type: CommandType, data: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[Sent]:
    """Commands of a type; now and then one with the name of an earlier one."""
    ids = st.uuids().map(str) | st.sampled_from(["x", "y", "z"])
    return st.builds(Sent, ids, st.just(command_type), data, st.sampled_from([True, True, False]))


AGAIN = Sent(
    "again", "membership.change", {"user_id": "u1", "add": [("a", START + timedelta(seconds=20))]}, timed=False
)
OTHER = Sent("again", "membership.change", {"user_id": "u1", "remove": ["a"]})
again: st.SearchStrategy[Sent | Garbage] = st.sampled_from([AGAIN, AGAIN, AGAIN, OTHER])
"""The same bytes, whose expiry passes soon; and another command under their name."""


user_only = users.map(lambda user: {"user_id": user})
segment_only = segments.map(lambda segment: {"segment": segment})
percents = st.sampled_from([Decimal(0), Decimal(30), Decimal("50.01"), Decimal(75), Decimal(100)])
details = st.fixed_dictionaries(
    {"segment": st.sampled_from(ROLLED_OUT)},
    optional={
        "description": st.sampled_from(["d1", "d2"]),
        "owner": st.sampled_from(["", "o"]),
        "tags": st.just(["t"]),
        "percent": percents,
    },
)
updates = st.builds(
    lambda data, policy: data | ({"on_decrease": policy} if policy and "percent" in data else {}),
    details.filter(lambda data: len(data) > 1),
    st.sampled_from([None, "release", "keep"]),
)
KINDS: dict[str, st.SearchStrategy[Sent | Garbage]] = {
    "change": of("membership.change", changes()),
    "register": of("user.register", user_only),
    "forget": of("user.forget", user_only),
    "create": of("segment.create", details | st.just({"segment": "e"})),
    "update": of("segment.update", updates),
    "delete": of("segment.delete", segment_only),
    "again": again,
    "garbage": st.sampled_from(GARBAGE).map(lambda pair: Garbage(*pair)),
}
# sampled_from keeps repeated elements, one_of would count each strategy once
WEIGHTED = ["change"] * 16 + ["register", "forget", "create", "update", "update", "delete", "again", "again", "garbage"]
records = st.sampled_from(WEIGHTED).flatmap(KINDS.__getitem__)
JOBS = ["roll out", "expire", "sweep"]
meetings = st.builds(
    Meet,
    st.lists(records, min_size=1, max_size=8),
    st.lists(st.lists(st.sampled_from(JOBS), min_size=1, max_size=3), min_size=1, max_size=2),
    st.lists(st.none() | st.integers(0, 8), min_size=3, max_size=3),
)
STEPS: dict[str, st.SearchStrategy[Deliver | Pass | Sweep | RollOut | Expire | Retain | Tell | Meet]] = {
    "deliver": st.builds(Deliver, st.lists(records, min_size=3, max_size=12), st.booleans()),
    "pass": st.builds(Pass, st.sampled_from([5, 10, 25, 60])),
    "sweep": st.just(Sweep()),
    "roll out": st.builds(RollOut, st.integers(1, 4)),
    "expire": st.just(Expire()),
    "retain": st.just(Retain()),
    "tell": st.just(Tell()),
    "meet": meetings,
}
OFTEN = ["deliver"] * 4 + ["pass"] * 3 + ["meet"] * 3 + ["roll out"] * 2 + ["expire", "sweep", "retain", "tell"]
steps = st.sampled_from(OFTEN).flatmap(STEPS.__getitem__)
END = [RollOut(1_000), Work(1_000, [None]), Expire(), Sweep()]
"""After it nothing is left for the jobs to do."""
everyone: list[Sent | Garbage] = [Sent(f"make {name}", "segment.create", {"segment": name}) for name in SEGMENTS]
everyone += [Sent(f"know {name}", "user.register", {"user_id": name}) for name in USERS]
beginning = Deliver(everyone, together=True)


def lapse_then_delete(percent: Decimal, after: list[Any]) -> list[Any]:
    """A membership by command is over before its segment is deleted; then comes what is `after`, before the jobs."""

    def one(name: str, command_type: CommandType, data: dict[str, Any]) -> Deliver:
        return Deliver([Sent(name, command_type, data)], together=True)

    return [
        one("lapse 1", "segment.update", {"segment": "a", "percent": percent}),
        one("lapse 2", "membership.change", {"user_id": "u1", "add": [("a", START + timedelta(seconds=5))]}),
        Pass(10),
        one("lapse 3", "segment.delete", {"segment": "a"}),
        *after,
    ]


AFTER_DELETION: list[Any] = [
    Deliver([Sent("lapse 4", "user.forget", {"user_id": "u1"})], together=True),
    Expire(),
    Sweep(),
    Pass(10),
]
lapses = st.builds(lapse_then_delete, percents, st.permutations(AFTER_DELETION))
tales = st.lists(steps, min_size=6, max_size=14) | st.builds(lambda a, b: [*a, *b], lapses, st.lists(steps, max_size=6))
stories = tales.map(lambda story: [beginning, *story, *END])
