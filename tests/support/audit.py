"""After a run: does every command have exactly one outcome, in order, and do tables, events and model agree?

The journal's order is taken for the order in which the commands took effect, and the naive model follows it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from tests.model.compare import Reader, ordered, replayed
from tests.model.naive import Event, Member, Model
from tests.support.line import SOURCE, Line, Said
from worker.settings import Settings

SETTLED_SECONDS_MAX, SETTLED_POLL_SECONDS = 60.0, 0.1
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
    type: str
    key: str
    data: dict[str, Any]


async def audit(line: Line, settings: Settings, commands: Sequence[Command], garbage: int = 0) -> None:
    """Hold everything that was said against everything that was sent; raises AssertionError."""
    by_id = {command.id: command for command in commands}
    await line.until(lambda said: _is_complete(said, by_id, garbage))
    last = await _settled(settings)
    said = await line.until(
        lambda said: _is_complete(said, by_id, garbage) and last == sum("sequence" in one.event for one in said)
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
    events: list[Event] = []
    waiting: dict[str, list[Event]] = {}
    for number, one in enumerate(journaled):
        value = _bytes(one)
        reader.learn([value])
        event = reader.read(value, one.key)
        if event["type"] == "command.rejected" and one.cause not in by_id:
            continue
        events.append(event)
        if one.cause is None:
            if _is_noted_by_command(event, journaled[number + 1 : number + 2], model, by_id):
                waiting.setdefault(event["key"], []).append(event)
            else:
                _follow_system(event, model, datetime.fromisoformat(one.event["time"]))
            continue
        command = by_id[one.cause]
        expected = model.apply(vars_of(command), datetime.fromisoformat(one.event["time"]))
        actual = [*waiting.pop(event["key"], []), event]
        assert list(map(ordered, actual)) == list(map(ordered, expected)), command
    assert not waiting
    return model, events


def vars_of(command: Command) -> dict[str, Any]:
    """The command in the model's form."""
    return {"source": SOURCE, "id": command.id, "type": command.type, "data": command.data}


def _is_noted_by_command(event: Event, following: Sequence[Said], model: Model, by_id: dict[str, Command]) -> bool:
    """Whether the command that comes next has noted this expiry; the job's own are followed by anything."""
    if event["data"].get("reason") != "expiry" or not following or following[0].cause not in by_id:
        return False
    (after,) = following
    command = by_id[str(after.cause)]
    if command.key != event["key"]:
        return False
    expected = deepcopy(model).apply(vars_of(command), datetime.fromisoformat(after.event["time"]))
    return len(expected) == 2 and ordered(expected[0]) == ordered(event)


def _follow_system(event: Event, model: Model, time: datetime) -> None:
    """Expiry, deletion or a rollout has ended or begun memberships, or has come to its end."""
    if event["type"] == "segment.populated":
        _hold_end(event, model)
        return
    user, reason = event["key"], event["data"]["reason"]
    for item in event["data"]["exited"]:
        row = model.members.pop((user, item["segment_id"]))
        assert row.included
        assert reason != "expiry" or row.is_over(time)
        if reason == "rollout":
            assert row.origin == "rollout"
            assert not model.is_inside(item["segment_id"], user)
            model.rollouts[item["segment_id"]].counts["exited"] += 1
    for item in event["data"]["entered"]:
        assert reason == "rollout"
        assert (user, item["segment_id"]) not in model.members
        assert model.is_inside(item["segment_id"], user)
        model.members[user, item["segment_id"]] = Member(True, None, time, "rollout")
        model.rollouts[item["segment_id"]].counts["entered"] += 1


def _hold_end(event: Event, model: Model) -> None:
    generation = event["data"]["segment_id"]
    members = {user: row for (user, place), row in model.members.items() if place == generation}
    if event["data"]["cause"] == "rollout":
        rollout = model.rollouts.pop(generation)
        assert event["data"]["percent"] == rollout.percent
        assert {name: event["data"][name] for name in ("entered", "exited")} == {
            name: rollout.counts[name] for name in ("entered", "exited")
        }
        _hold_percent(generation, members, model)
        return
    assert not [row for row in members.values() if row.included]
    for user in members:
        del model.members[user, generation]


def _hold_percent(generation: str, members: dict[str, Member], model: Model) -> None:
    """A user is inside by the formula, unless a command has said otherwise."""
    for user in model.users:
        row = members.get(user)
        if row is None or row.origin == "rollout":
            assert (row is not None) == model.is_inside(generation, user), (generation, user)


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
