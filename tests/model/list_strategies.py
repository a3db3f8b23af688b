"""Streams of imports for the property-based test, with all else in between."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from schemas.commands import CommandType
from tests.model.schedule_strategies import cancelling
from tests.model.strategies import (
    END,
    KINDS,
    LIMIT,
    START,
    USERS,
    Decide,
    Deliver,
    Garbage,
    Pass,
    Sent,
    Work,
    beginning,
    expiries,
    of,
    segments,
    steps,
    users,
)

LISTED = [*USERS, "a", "z", "é"]
"""Users on lists: some whom nobody has registered, before, between and after the others."""
REGISTER = {"unknown_users": "register"}
listed = st.lists(st.sampled_from(LISTED), min_size=2, max_size=8)
until = st.sampled_from([{}, {}, {"ttl": "PT20S"}, {"ttl": "PT90S"}]) | st.integers(1, 12).map(
    lambda tens: {"expires_at": START + timedelta(seconds=10 * tens)}
)
strangers: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [{}, {"unknown_users": "skip"}, {"unknown_users": "register"}, {"unknown_users": "register"}]
)


instants = st.sampled_from([None] * 3 + [START + timedelta(seconds=seconds) for seconds in (10, 20, 30, 60)])
"""When a list is to be closed that is sent: mostly at once."""


def beginnings(names: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, Any]]:
    """The data of an import.begin."""
    modes = st.sampled_from(["add", "add", "remove", "replace", "replace"])
    return st.builds(
        lambda name, segment, mode, till, unknown: (
            {"import": name, "segment": segment, "mode": mode} | ({} if mode == "remove" else till) | unknown
        ),
        names,
        segments,
        modes,
        until,
        strangers,
    )


@st.composite
def campaigns(draw: st.DrawFn, name: str) -> Deliver:
    """A list as its sender sends it, mostly to the end, with a number of users that may be wrong."""
    pieces = draw(st.lists(listed, min_size=1, max_size=2) | st.just([]))
    sent = sum(map(len, pieces))
    users = draw(st.sampled_from([None, sent, sent, sent, sent, sent + 1]))
    said: list[tuple[CommandType, dict[str, Any]]] = [("import.begin", draw(beginnings(st.just(name))))]
    said += [("import.users", {"import": name, "user_ids": piece}) for piece in pieces]
    if draw(st.sampled_from([True] * 8 + [False])):
        said.append(("import.commit", {"import": name} | ({} if users is None else {"users": users})))
    is_timed, at = draw(st.booleans()), draw(instants)
    commands = [
        Sent(f"{name}:{number}", kind, data, is_timed, at if kind == "import.commit" else None)
        for number, (kind, data) in enumerate(said)
    ]
    if draw(st.sampled_from([True] + [False] * 5)):
        commands.append(cancelling(commands[-1], f"{name}:back"))
    return Deliver([*commands, *draw(st.lists(beside, max_size=2))], draw(st.booleans()))


imports = st.sampled_from(["i1", "i2"])
import_only = imports.map(lambda name: {"import": name})
list_commands = st.one_of(
    of("import.begin", beginnings(imports)),
    of("import.users", st.builds(lambda name, users: {"import": name, "user_ids": users}, imports, listed)),
    of("import.commit", import_only),
    of("import.cancel", import_only),
)
strays = st.builds(Deliver, st.lists(list_commands, min_size=1, max_size=4), st.booleans())
# who is forgotten and listed in one batch is listed or not: between topics there is no order
beside = st.sampled_from(["change", "register", "create", "update", "delete"]).flatmap(KINDS.__getitem__)
decides = st.builds(Decide, st.integers(1, 3), st.lists(st.none() | st.integers(0, 12), min_size=1, max_size=2))
works = st.builds(Work, st.integers(1, 3), st.lists(st.none() | st.integers(0, 12), min_size=1, max_size=2))


def interruptions(name: str) -> st.SearchStrategy[Any]:
    """What may come between two chunks of a list: as likely as anything what concerns it."""
    cancel = of("import.cancel", st.just({"import": name}))
    of_all = st.one_of(cancel, *(KINDS[kind] for kind in ("change", "change", "forget", "delete", "update")))
    return st.builds(Deliver, st.lists(of_all, min_size=1, max_size=3), st.just(True)) | steps | decides


@st.composite
def lists_applied(draw: st.DrawFn) -> list[Any]:
    """Time goes by, a list comes, and chunks of it are applied with something in between."""
    name = draw(st.uuids().map(str) | imports)
    found: list[Any] = [Pass(5), draw(campaigns(name)), Pass(draw(st.sampled_from([0, 0, 10, 30]))), draw(decides)]
    found.append(draw(works))
    for _ in range(draw(st.integers(0, 2))):
        found += [draw(interruptions(name)), draw(works)]
    return found


joining = st.builds(
    lambda user, names, till: {"user_id": user, "add": [(name, till) for name in names]},
    users,
    st.lists(segments, min_size=1, max_size=LIMIT, unique=True),
    st.none() | expiries,
)
members = st.builds(Deliver, st.lists(of("membership.change", joining), min_size=3, max_size=8), st.just(True))
"""Users are in segments already, some of them in as many as they may."""
LIST_END = [Pass(30), Decide(100, [None]), *END]
chapters = st.one_of(lists_applied(), lists_applied(), st.builds(lambda step: [step], strays | steps))
list_stories = st.builds(
    lambda first, chapters: [beginning, first, *(step for chapter in chapters for step in chapter), *LIST_END],
    members,
    st.lists(chapters, min_size=4, max_size=7),
)


def told_of(name: str, ending: Sent, *after: Any) -> list[Any]:
    """A list of three is half applied when something comes that ends it, or takes a user off it."""
    begin = {"import": name, "segment": "e", "mode": "add"} | REGISTER
    sent: list[Sent | Garbage] = [
        Sent(f"{name} 1", "import.begin", begin),
        Sent(f"{name} 2", "import.users", {"import": name, "user_ids": ["u1", "z", "é"]}),
        Sent(f"{name} 3", "import.commit", {"import": name, "users": 3}),
    ]
    return [Deliver(sent, together=True), Work(1, [None]), Deliver([ending], together=True), *after]


LEFT_OPEN: list[Any] = [
    Deliver([Sent("open", "import.begin", {"import": "open", "segment": "a", "mode": "replace"})], together=True),
    Deliver([Sent("open 2", "import.users", {"import": "open", "user_ids": USERS})], together=True),
    Pass(60),
    Work(1, [None]),
    Pass(60),
]
COME_BACK: list[Any] = [
    Deliver([Sent("leave", "user.forget", {"user_id": "u1"})], together=True),
    Deliver(
        [
            Sent("back 1", "import.begin", {"import": "back", "segment": "e", "mode": "remove"} | REGISTER),
            Sent("back 2", "import.users", {"import": "back", "user_ids": ["u1"]}),
            Sent("back 3", "import.commit", {"import": "back"}),
        ],
        together=True,
    ),
    Work(2, [None]),
]
"""A list may register a user without an event, as nothing has changed for the user: also one who was forgotten."""
ENDINGS: list[list[Any]] = [
    told_of("deleted", Sent("end", "segment.delete", {"segment": "e"})),
    told_of("cancelled", Sent("end", "import.cancel", {"import": "cancelled"})),
    told_of("shortened", Sent("end", "user.forget", {"user_id": "é"}), Work(1, [4, None])),
    LEFT_OPEN,
    COME_BACK,
]
"""What ends a list, each at least once in every run."""
