"""After a run: does every command have exactly one outcome, in order, and do tables, events and model agree?

The journal's order is taken for the order in which the commands took effect, and the naive model follows it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from schemas.commands import CommandType
from tests.model.compare import Reader, replayed
from tests.model.follow import Timed, follow
from tests.model.happened import Event
from tests.model.naive import Model
from tests.support.line import SOURCE, Line, Said
from worker.settings import Settings

SETTLED_SECONDS_MAX, SETTLED_POLL_SECONDS = 60.0, 0.1
SAID_SECONDS_MAX = 180.0
"""After a fault the group and its clients need up to their own time-outs, of 30 and 40 s; on a slow machine more."""
# memberships end long ago, within seconds, or long after the test
UNSETTLED = """
select exists (select from memberships where included and expires_at <= now() + interval '1 minute')
    or exists (select from deletions)
    or exists (select from rollouts where finished_at is null)
"""


@dataclass(frozen=True, slots=True)
class Command:
    """A command as it was sent: `data.add` as pairs of segment and expiry, for the model."""

    id: str
    type: CommandType
    key: str
    data: dict[str, Any]


async def audit(line: Line, settings: Settings, commands: Sequence[Command], garbage: int = 0) -> None:
    """Hold everything that was said against everything that was sent; raises AssertionError."""
    by_id = {command.id: command for command in commands}
    await line.until(lambda said: _is_complete(said, by_id, garbage), SAID_SECONDS_MAX)
    last = await _settled(settings)
    said = await line.until(
        lambda said: _is_complete(said, by_id, garbage) and last == sum("sequence" in one.event for one in said),
        SAID_SECONDS_MAX,
    )
    journaled = sorted((one for one in said if "sequence" in one.event), key=lambda one: int(one.event["sequence"]))
    assert [int(one.event["sequence"]) for one in journaled] == list(range(1, len(journaled) + 1))
    causes = Counter(one.cause for one in journaled if one.cause in by_id)
    assert {cause for cause, count in causes.items() if count != 1} == set()
    assert causes.keys() == by_id.keys()
    assert sum(one.type == "command.rejected" and one.cause not in by_id for one in journaled) == garbage
    _hold_order_of_keys(journaled, commands)
    model, events = _follow(journaled, by_id)
    await _hold_tables(settings, model, events)


@asynccontextmanager
async def _connected(settings: Settings) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    try:
        yield connection
    finally:
        await connection.close()


async def _settled(settings: Settings) -> int:
    """The journal's last sequence, as soon as no job has anything left to do."""
    async with asyncio.timeout(SETTLED_SECONDS_MAX), _connected(settings) as connection:
        while await connection.fetchval(UNSETTLED):
            await asyncio.sleep(SETTLED_POLL_SECONDS)
        sequence: int = await connection.fetchval("select sequence from journal_head")
        return sequence


def _is_complete(said: Sequence[Said], by_id: dict[str, Command], garbage: int) -> bool:
    """All outcomes are there, the deletions have come to their end, and no partition's events are still to be read."""
    if len(said) < len(by_id) + garbage:
        return False
    sequences = {int(one.event["sequence"]) for one in said if "sequence" in one.event}
    if len(sequences) != max(sequences, default=0):
        return False
    causes = {one.cause for one in said}
    deleted = sum(one.type == "segment.deleted" for one in said)
    populated = sum(one.type == "segment.populated" and one.data["cause"] == "segment_deleted" for one in said)
    rejected = sum(one.type == "command.rejected" and one.cause not in by_id for one in said)
    return by_id.keys() <= causes and deleted == populated and rejected >= garbage


def _hold_order_of_keys(journaled: Sequence[Said], commands: Sequence[Command]) -> None:
    """A key's outcomes come in the order in which its commands were sent, and its events are in one partition."""
    places: dict[tuple[str, bytes | None], tuple[int, int]] = {}
    for one in journaled:
        partition, offset = places.get((one.topic, one.key), (one.partition, -1))
        assert (one.partition, offset) < (one.partition, one.offset)
        assert one.partition == partition
        places[one.topic, one.key] = one.partition, one.offset
    at = {one.cause: int(one.event["sequence"]) for one in journaled}
    latest: dict[tuple[bool, str], int] = {}
    for command in commands:
        key = (command.type.startswith("segment."), command.key)
        assert at[command.id] > latest.get(key, 0), command
        latest[key] = at[command.id]


def _follow(journaled: Sequence[Said], by_id: dict[str, Command]) -> tuple[Model, list[Event]]:
    reader = Reader()
    model = Model(reader.salts)
    timed: list[Timed] = []
    for one in journaled:
        value = _bytes(one)
        reader.learn([value])
        event = reader.read(value, one.key)
        if event["type"] != "command.rejected" or one.cause in by_id:
            timed.append((event, datetime.fromisoformat(one.event["time"])))
    follow(model, timed, {id_: vars_of(command) for id_, command in by_id.items()})
    return model, [event for event, _ in timed]


def vars_of(command: Command) -> dict[str, Any]:
    """The command in the model's form."""
    return {"source": SOURCE, "id": command.id, "type": command.type, "data": command.data}


def _bytes(one: Said) -> bytes:
    import json

    return json.dumps(one.event).encode()


async def _hold_tables(settings: Settings, model: Model, events: list[Event]) -> None:
    async with _connected(settings) as connection:
        users = {row["user_id"] for row in await connection.fetch("select user_id from users")}
        rows = await connection.fetch(
            "select user_id, segment, included, expires_at from memberships"
            " join users using (user_key) join segments using (segment_key)"
        )
        assert await connection.fetchval("select count(*) from memberships") == len(rows)
        assert await connection.fetchval("select count(*) from deletions") == 0
        assert await connection.fetchval("select count(*) from journal") == await connection.fetchval(
            "select sequence from journal_head"
        )
    assert {user for user in users if not user.startswith("sentinel-")} == model.users
    tables = Counter((row["user_id"], row["segment"], row["included"], row["expires_at"]) for row in rows)
    wanted = Counter(
        (user, generation.rpartition("#")[0], row.included, row.expires_at)
        for (user, generation), row in model.members.items()
    )
    assert (tables - wanted, wanted - tables) == (Counter(), Counter())
    assert replayed(events) == {
        (user, generation, row.expires_at) for (user, generation), row in model.members.items() if row.included
    }
