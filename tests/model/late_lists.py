"""Lists whose commits take effect later, and what may come of them until then."""

from __future__ import annotations

from typing import Any

from tests.model.schedule_strategies import after, cancelling
from tests.model.strategies import USERS, Decide, Deliver, Garbage, Pass, Sent, Work

DECIDED = Decide(1, [2, None])


def _opened(name: str) -> list[Sent | Garbage]:
    begin = {"import": name, "segment": "e", "mode": "replace", "unknown_users": "register"}
    return [
        Sent(f"{name} 1", "import.begin", begin),
        Sent(f"{name} 2", "import.users", {"import": name, "user_ids": ["u1", "z"]}),
    ]


def _commit(name: str, seconds: int, users: int | None = 2, number: int = 3) -> Sent:
    data: dict[str, Any] = {"import": name} if users is None else {"import": name, "users": users}
    return Sent(f"{name} {number}", "import.commit", data, at=after(seconds))


def _told(name: str, commit: Sent, *more: Sent, then: list[Any]) -> list[Any]:
    """A list is opened and its commit put off; then comes more."""
    return [Deliver([*_opened(name), commit, *more], together=True), *then]


def _one(command: Sent) -> Deliver:
    return Deliver([command], together=True)


AT_ONCE = _told("late", _commit("late", 20), then=[Pass(10), Decide(9, [None]), Pass(10), DECIDED, Work(1, [1, None])])
"""Not before its instant, and then the job goes on as after any commit."""
MORE_USERS = _told(
    "more",
    _commit("more", 20, users=3),
    Sent("more 4", "import.users", {"import": "more", "user_ids": ["é"]}),
    then=[Pass(30), DECIDED],
)
TOO_MANY_USERS = _told(
    "many",
    _commit("many", 20),
    Sent("many 4", "import.users", {"import": "many", "user_ids": ["é"]}),
    then=[Pass(30), DECIDED],
)
"""The list is open until then, and its users are counted then."""
DROPPED = _told(
    "dropped", _commit("dropped", 20), Sent("drop", "import.cancel", {"import": "dropped"}), then=[Pass(30), DECIDED]
)
HALF_APPLIED = _told(
    "half",
    _commit("half", 20),
    then=[Pass(30), DECIDED, Work(1, [None]), _one(Sent("drop", "import.cancel", {"import": "half"})), DECIDED],
)
"""The list is cancelled before the instant, and after it: the commit has an outcome of its own."""
TAKEN_BACK = _told(
    "back",
    _commit("back", 20),
    cancelling(_commit("back", 20), "c0"),
    cancelling(_commit("back", 20), "c1"),
    _commit("back", 30, users=None, number=4),
    then=[Pass(30), DECIDED],
)
"""The commit is cancelled, once, and another one comes in its place."""
BEREFT = _told("bereft", _commit("bereft", 20), then=[_one(Sent("d", "segment.delete", {"segment": "e"})), Pass(30)])
ABANDONED = _told("left", _commit("left", 150), then=[Pass(120), Work(1, [None]), Pass(60), DECIDED])
OVERDUE = _told("overdue", _commit("overdue", 90), then=[Pass(120), DECIDED, Work(1, [None])])
"""Nobody has closed the list in time; nobody has looked in time whether it was to be closed."""
SHORTENED = _told("short", _commit("short", 20), then=[_one(Sent("f", "user.forget", {"user_id": "u1"})), Pass(30)])
"""Who is forgotten is on the list no longer; the commit, which is about nobody alone, stays."""
TWICE: list[Any] = [
    Deliver([_commit("twice", 20, users=None), _commit("twice", 10, users=2, number=4)], together=True),
    Deliver(_opened("twice"), together=True),
    Pass(30),
    Decide(100, [None]),
]
"""Put off before the list is there; the one that is due first closes it."""
AMONG_OTHERS: list[Any] = [
    Deliver(
        [
            *_opened("among"),
            _commit("among", 20),
            *(Sent(f"add {user}", "membership.change", {"user_id": user, "add": [("e", None)]}) for user in USERS),
            Sent("out", "membership.change", {"user_id": "42", "remove": ["e"]}, at=after(20)),
            Sent("in", "membership.change", {"user_id": "ü", "add": [("e", after(60))]}, at=after(25)),
        ],
        together=True,
    ),
    Pass(30),
    DECIDED,
    Work(2, [3, None]),
]
"""A list in place of all members, with commands of the same moment and of one after it, all overdue."""
LATE_ENDINGS: list[list[Any]] = [
    AT_ONCE,
    MORE_USERS,
    TOO_MANY_USERS,
    DROPPED,
    HALF_APPLIED,
    TAKEN_BACK,
    [*BEREFT, DECIDED],
    ABANDONED,
    OVERDUE,
    [*SHORTENED, DECIDED],
    TWICE,
    AMONG_OTHERS,
]
"""What may become of a commit that takes effect later, each at least once in every run."""
