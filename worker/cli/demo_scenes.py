"""The demo's story: what is sent, in order, and what to say about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from schemas.commands import CommandType
from schemas.producer import Place
from schemas.times import rfc3339
from schemas.topics import Topic

REPEATED_ID = "order-4711"
"""The id of the command that is sent twice and must be applied once."""
CANCELLED_ID = "farewell-dark-mode"
SOURCE = "/demo"


@dataclass(frozen=True, slots=True)
class Scene:
    """A caption, and a command (`type`, `data`) or a raw value that is no good command.

    `after` says how much later it takes effect, `place` where the command was sent that it cancels. `until` is what the
    scene ends with beside the command's own outcome: an event's type, or a change's reason.
    """

    caption: str
    type: CommandType | None = None
    data: dict[str, Any] | None = None
    raw: bytes | None = None
    id: str | None = None
    is_repeated: bool = False
    until: str | None = None
    after: timedelta | None = None
    place: Place | None = None


def scenes(now: datetime) -> list[Scene]:
    """Every command once or more, and what is refused."""
    return [
        *_beginnings(),
        *_changes(now),
        *_rollouts(),
        *_schedules(),
        *_imports(),
        *_refusals(),
        *_farewells(),
        _report(now),
    ]


def _beginnings() -> list[Scene]:
    return [
        Scene(
            "A product team makes two segments",
            "segment.create",
            {"segment": "beta", "description": "sees what is not ready yet", "owner": "web", "tags": ["experiment"]},
        ),
        Scene("", "segment.create", {"segment": "discount-30"}),
        Scene("… and says more about one of them", "segment.update", {"segment": "discount-30", "owner": "sales"}),
        Scene("Users become known", "user.register", {"user_id": "ada"}),
        Scene("", "user.register", {"user_id": "grace"}),
    ]


def _changes(now: datetime) -> list[Scene]:
    new_year = rfc3339(datetime(now.year + 1, 1, 1, tzinfo=UTC))
    return [
        Scene("A user joins, for good", "membership.change", {"user_id": "ada", "add": ["beta"]}),
        Scene(
            "… another for two months, and until the new year",
            "membership.change",
            {
                "user_id": "grace",
                "add": [{"segment": "beta", "ttl": "P2M"}, {"segment": "discount-30", "expires_at": new_year}],
            },
        ),
        Scene(
            "One command adds and removes. It is sent twice, as a producer's retry does, and applied once",
            "membership.change",
            {"user_id": "ada", "add": ["discount-30"], "remove": ["beta"]},
            id=REPEATED_ID,
            is_repeated=True,
        ),
        Scene("What is there already is no error", "membership.change", {"user_id": "ada", "add": ["discount-30"]}),
        Scene("Anyone may ask", "membership.query", {"user_id": "grace"}),
    ]


def _rollouts() -> list[Scene]:
    more = [Scene("", "user.register", {"user_id": f"user-{number}"}) for number in range(1, 7)]
    more[0] = Scene("More users come", "user.register", {"user_id": "user-1"})
    dark, end = "dark-mode", "segment.populated"
    return [
        *more,
        Scene(
            "Half of all users, by a formula that anyone can compute",
            "segment.create",
            {"segment": dark, "percent": 50},
            until=end,
        ),
        Scene("… ramped up: nobody leaves", "segment.update", {"segment": dark, "percent": 90}, until=end),
        Scene("… and down: nobody else enters", "segment.update", {"segment": dark, "percent": 20}, until=end),
        Scene(
            "For two seconds only: it ends by itself",
            "membership.change",
            {"user_id": "user-1", "add": ["discount-30"], "ttl": "PT2S"},
            until="expiry",
        ),
    ]


def _schedules() -> list[Scene]:
    dark, place = {"segment": "dark-mode"}, Place(Topic.SEGMENT_COMMANDS, b"dark-mode")
    return [
        Scene(
            "A command may take effect later: in a second, and it does so by itself",
            "segment.update",
            dark | {"percent": 40},
            after=timedelta(seconds=1),
            until="segment.populated",
        ),
        Scene("… or in a year", "segment.delete", dark, id=CANCELLED_ID, after=timedelta(days=365)),
        Scene(
            "… unless it is taken back",
            "schedule.cancel",
            {"command_id": CANCELLED_ID, "command_source": SOURCE},
            place=place,
        ),
    ]


def _imports() -> list[Scene]:
    lists = {"import": "week-48", "segment": "discount-30", "mode": "replace"}
    return [
        Scene("A list of users takes the place of a segment's members", "import.begin", lists),
        Scene("", "import.users", {"import": "week-48", "user_ids": ["grace", "user-2", "user-3", "nobody"]}),
        Scene("", "import.commit", {"import": "week-48", "users": 4}, until="import.completed"),
        Scene("… and one is dropped", "import.begin", {"import": "week-49", "segment": "beta", "mode": "add"}),
        Scene("", "import.cancel", {"import": "week-49"}),
    ]


def _refusals() -> list[Scene]:
    return [
        Scene(
            "All of it or nothing: one unknown segment refuses the whole command, and every wrong name is listed",
            "membership.change",
            {"user_id": "ada", "add": ["beta", "betta", "discount-3O"]},
        ),
        Scene(
            "An unknown field is refused, so that nobody stays in a segment for ever by mistake",
            raw=b'{"specversion": "1.0", "id": "1", "source": "/demo", "type": "segmentation.membership.change.v1",'
            b' "data": {"user_id": "ada", "add": ["beta"], "month": 2}}',
        ),
        Scene("What is no command at all holds nothing up", raw=b"hello?"),
    ]


def _farewells() -> list[Scene]:
    return [
        Scene("A segment goes, and all its members leave it", "segment.delete", {"segment": "beta"}),
        Scene("Its name is free at once", "segment.create", {"segment": "beta", "description": "the next one"}),
        Scene("", "membership.change", {"user_id": "grace", "add": ["beta"]}),
        Scene("A user who asks for it is forgotten", "user.forget", {"user_id": "ada"}),
    ]


def _report(now: datetime) -> Scene:
    return Scene(
        "All of it as a report, as it is made for each month: a file of every change, and a page to read",
        "report.request",
        {"year": now.year, "month": now.month},
    )
