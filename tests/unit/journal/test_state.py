"""The states beside events: as many as fit, and the rows of no other users."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from schemas.state import STATE_ITEMS_MAX
from worker.journal.names import Names
from worker.journal.state import MEMBERSHIP_BYTES, States
from worker.kafka.clients import EVENT_BYTES_MAX
from worker.settings import Settings

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
KNOWN: dict[str, int] = {"none": 0, "one": 1, "two": 2, "three": 3, "huge": STATE_ITEMS_MAX + 5}
"""Users, and how many segments each is in; others are not known."""


class Server:
    """A session that knows these users, and every segment by a name of full length."""

    async def fetch(self, name: str, *arguments: Any) -> list[Any]:
        if name == "segments_by_key":
            (keys,) = arguments
            return [
                {"segment_key": key, "segment": f"{key:0255}", "segment_id": f"{key:08}-0000-4000-8000-000000000000"}
                for key in keys
            ]
        users, rows_max = arguments
        rows, total = [], 0
        for n, user in enumerate(users, 1):
            total += max(1, KNOWN.get(user, 0))
            if total > rows_max and n > 1:
                break
            keys = range(KNOWN[user]) if KNOWN.get(user) else [None]
            rows += [Row(n=n, is_known=user in KNOWN, sequence=99, key=key) for key in keys]
        return rows


class Row(dict[str, Any]):
    """As the driver's: by name and by place."""

    def __init__(self, n: int, is_known: bool, sequence: int, key: int | None) -> None:
        super().__init__(n=n, is_known=is_known, sequence=sequence, segment_key=key)
        self._columns = (n, is_known, sequence, key, "command", NOON, NOON)

    def __getitem__(self, key: Any) -> Any:
        return self._columns[key] if isinstance(key, int) else super().__getitem__(key)

    def __iter__(self) -> Any:
        return iter(self._columns)


def states(**settings: Any) -> States:
    server: Any = Server()
    return States(server, Settings(**settings), Names(server), "journal")


def row(user: str | None) -> Any:
    return {"type": "membership.changed" if user else "segment.created", "user_id": user}


async def test_as_many_rows_as_their_users_states_fit() -> None:
    """The rows from the first on, up to the first one about a user whose state has no room."""
    made = states(relay_rows_max=8)
    rows = [row(user) for user in ("two", None, "none", "two", "three", None, "one")]
    for room, kept, users in ((3, 4, 2), (6, 6, 3), (7, 7, 4), (1, 2, 1)):
        fitting, records = await made.beside(rows, room * MEMBERSHIP_BYTES, NOON)
        assert (len(fitting), len(records)) == (kept, users)
    assert made.rows_max == 4, "what does not fit is not read again and again"
    await made.beside(rows[:3], 10**6, NOON)
    assert made.rows_max == 8


async def test_rows_about_nobody_need_no_statement() -> None:
    rows = [row(None)]
    assert await states().beside(rows, 10**6, NOON) == (rows, [])


async def test_one_that_is_larger_than_the_limits() -> None:
    """A record always fits, and says what it leaves out."""
    fitting, (record,) = await states().beside([row("huge"), row("one")], 1_000, NOON)
    assert len(fitting) == 1
    assert record.value is not None
    assert len(record.value) + sum(len(name) + len(value) for name, value in record.headers) < EVENT_BYTES_MAX
    found = json.loads(record.value)
    assert (len(found["segments"]), found["omitted"]) == (STATE_ITEMS_MAX, 5)


@pytest.mark.parametrize(("user", "is_there"), [("none", True), ("nobody", False)])
async def test_nobody_and_no_segments(user: str, is_there: bool) -> None:
    (record,) = await states().read([user], 10**6, NOON)
    assert (record.value is not None) is is_there
    assert dict(record.headers)["ce_id"] == f"journal-99-{user}".encode()
    if record.value is not None:
        assert json.loads(record.value) == {"user_id": user, "sequence": 99, "segments": []}
