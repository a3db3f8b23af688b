"""What the worker has come to, held against the naive model: tables, counts, answers and lists."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

import asyncpg

from tests.model.compare import replayed
from tests.model.happened import Event
from tests.model.list_strategies import LISTED
from tests.model.lists import ABANDONED_AFTER, COUNTED
from tests.model.naive import Model
from tests.model.strategies import SEGMENTS
from tests.model.world import World


async def hold_tables(
    connection: asyncpg.Connection[asyncpg.Record], world: World, model: Model, events: list[Event]
) -> None:
    """Users, segments and memberships; and what the events alone lead to."""
    assert {row["user_id"] for row in await connection.fetch("select user_id from users")} == model.users
    living = await connection.fetch("select segment, segment_id from segments where deleted_at is null")
    assert {row["segment"]: world.reader.generation(str(row["segment_id"])) for row in living} == {
        name: segment.generation for name, segment in model.segments.items()
    }
    rows = await connection.fetch(
        "select user_id, segment_id, included, origin, since, expires_at from memberships"
        " join users using (user_key) join segments using (segment_key)"
    )
    found = {
        (row["user_id"], world.reader.generation(str(row["segment_id"]))): (
            row["included"],
            row["expires_at"],
            row["since"],
            row["origin"],
        )
        for row in rows
    }
    wanted = {place: (row.included, row.expires_at, row.since, row.origin) for place, row in model.members.items()}
    assert found == wanted
    assert await connection.fetchval("select count(*) from memberships") == len(found)
    included: set[tuple[str, str, datetime | None]] = {
        (user, generation, row.expires_at) for (user, generation), row in model.members.items() if row.included
    }
    assert replayed(events) == included


async def hold_counts(connection: asyncpg.Connection[asyncpg.Record], world: World, model: Model) -> None:
    """What is counted is what the table has; the days add up to what has changed since the first count."""
    await world.tell()
    rows = await connection.fetch("select segment_id, members from segment_counts join segments using (segment_key)")
    found = Counter({world.reader.generation(str(row["segment_id"])): row["members"] for row in rows})
    assert min(found.values(), default=0) >= 0
    wanted = Counter(generation for (_, generation), row in model.members.items() if row.included)
    assert +found == wanted
    assert await connection.fetchval("select bool_and(entered >= 0 and exited >= 0) from segment_days") in (True, None)
    assert await connection.fetchval("select sequence from tally") == world.sequence


async def hold_answers(world: World, model: Model) -> None:
    """What queries are told."""
    answers: dict[str, dict[str, Any]] = {user: {} for user in LISTED}
    for row in await world.looking.fetch("memberships_of_users", LISTED, world.now, 100_000):
        generation = world.reader.generation(str(row["segment_id"]))
        assert row["segment"] in SEGMENTS
        answers[row["user_id"]][row["segment"]] = (generation, row["origin"], row["since"], row["expires_at"])
    assert answers == {user: model.active(user, world.now) for user in LISTED}


async def hold_lists(connection: asyncpg.Connection[asyncpg.Record], world: World, model: Model) -> None:
    """What became of every list; nothing is left of those that have ended."""
    rows = {row["import"]: row for row in await connection.fetch("select * from imports")}
    assert rows.keys() == model.lists.imports.keys()
    for name, one in model.lists.imports.items():
        row = rows[name]
        assert (row["state"], row["failure"], row["received"]) == (one.state, one.failure, one.received)
        assert {field: row[field] for field in COUNTED} == {field: one.counts[field] for field in COUNTED}
        assert (row["unknown_sample"], row["too_many_segments_sample"]) == (one.unknown, one.crowded)
        assert one.state in ("completed", "failed") or one.began_at >= world.now - ABANDONED_AFTER
    staged = await connection.fetch("select import, user_id from import_users join imports using (import_key)")
    open_ones = {(one.name, user) for one in model.lists.imports.values() if one.state == "open" for user in one.users}
    assert {(row["import"], row["user_id"]) for row in staged} == open_ones


async def hold_schedule(connection: asyncpg.Connection[asyncpg.Record], model: Model) -> None:
    """What waits is what the model has waiting; nothing else names a user who was forgotten."""
    rows = await connection.fetch("select command_id, effective_at from schedule order by 1")
    waiting = sorted((one["id"], one["at"]) for one in model.waiting.commands)
    assert [(row["command_id"], row["effective_at"]) for row in rows] == waiting
    assert await connection.fetchval("select count(*) from schedule_forgotten") == 0
