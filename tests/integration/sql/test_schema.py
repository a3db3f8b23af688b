"""The migrated schema: every statement fits it, the types agree with the contract, the view is as it promises."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import get_args

import asyncpg
import pytest

from schemas.events import EVENTS, Origin, Reason
from worker.postgres.session import statement
from worker.settings import Settings

SQL = Path(__file__).parents[3] / "worker" / "sql"
STATEMENTS = sorted(path.stem for path in SQL.glob("*/*.sql") if path.parent.name != "migrations")


@pytest.fixture
async def connection(settings: Settings) -> AsyncIterator[asyncpg.Connection]:
    """A connection to the test's own database."""
    opened = await asyncpg.connect(settings.database_url.get_secret_value())
    yield opened
    await opened.close()


@pytest.mark.parametrize("name", STATEMENTS)
async def test_every_statement_fits_the_schema(connection: asyncpg.Connection, name: str) -> None:
    prepared = await connection.prepare(statement(name))
    promised = statement(name).splitlines()[0].removeprefix("-- returns ")
    if promised.startswith("nothing"):
        assert [column.type.name for column in prepared.get_attributes()] in ([], ["void"])
    else:
        assert prepared.get_attributes()


async def test_the_types_are_the_contracts(connection: asyncpg.Connection) -> None:
    sql = "select enumlabel from pg_enum where enumtypid = $1::regtype order by enumsortorder"

    async def labels(kind: str) -> list[str]:
        return [row["enumlabel"] for row in await connection.fetch(sql, kind)]

    assert await labels("change_reason") == list(get_args(Reason))
    assert await labels("membership_origin") == list(get_args(Origin))
    events = await labels("event_type")
    assert events
    assert set(events) <= set(EVENTS)
    assert "membership.snapshot" not in events, "answers are not journaled"


async def test_the_view_has_the_promised_columns(connection: asyncpg.Connection) -> None:
    prepared = await connection.prepare("select * from active_memberships")
    columns = [(column.name, column.type.name) for column in prepared.get_attributes()]
    assert columns == [
        ("user_id", "text"),
        ("segment", "text"),
        ("segment_id", "uuid"),
        ("origin", "membership_origin"),
        ("since", "timestamptz"),
        ("expires_at", "timestamptz"),
    ]


async def test_the_view_shows_what_is_active(connection: asyncpg.Connection) -> None:
    """Not: expired to the microsecond, kept out by command, of a deleted segment."""
    await connection.execute("""
        insert into users (user_id, registered_at) values ('u', now());
        insert into segments (segment, segment_id, salt, created_at, updated_at, deleted_at)
        select name, gen_random_uuid(), gen_random_uuid(), now(), now(), case when name = 'deleted' then now() end
        from unnest(array['for ever', 'until later', 'over', 'over now', 'kept out', 'deleted', 'rolled out']) as name;
    """)
    async with connection.transaction():  # now() stands still
        await connection.execute("""
            insert into memberships (user_key, segment_key, since, origin, included, expires_at)
            select user_key, segment_key, now() - interval '1 day',
                (case when segment = 'rolled out' then 'rollout' else 'command' end)::membership_origin,
                segment <> 'kept out',
                case segment
                    when 'until later' then now() + interval '1 microsecond'
                    when 'over' then now() - interval '1 day'
                    when 'over now' then now()
                end
            from users, segments
        """)
        found = await connection.fetch("select segment, origin from active_memberships order by segment")
    assert [tuple(row) for row in found] == [
        ("for ever", "command"),
        ("rolled out", "rollout"),
        ("until later", "command"),
    ]


async def test_a_name_is_unique_among_the_living(connection: asyncpg.Connection) -> None:
    insert = (
        "insert into segments (segment, segment_id, salt, created_at, updated_at, deleted_at)"
        " values ('a', gen_random_uuid(), gen_random_uuid(), now(), now(), $1::timestamptz)"
    )
    long_ago = await connection.fetchval("select now() - interval '1 day'")
    for deleted_at in (long_ago, long_ago, None):
        await connection.execute(insert, deleted_at)
    with pytest.raises(asyncpg.UniqueViolationError):
        await connection.execute(insert, None)


async def test_the_journals_numbers_have_no_gaps(connection: asyncpg.Connection) -> None:
    """A transaction that rolls back gives its numbers back, and time never runs backwards."""
    late = await connection.fetchval("select now()")
    early = late - timedelta(hours=1)
    row = ["membership.changed", "command", None, "u", *([None] * 11)]
    columns = [[item] * 2 for item in row]
    transaction = connection.transaction()
    await transaction.start()
    assert await connection.fetchval(statement("journal_append"), late, *columns, None) == 2
    await transaction.rollback()
    for now in (late, early):
        await connection.fetch(statement("journal_append"), now, *columns, None)
    found = await connection.fetch("select sequence, time from journal order by sequence")
    assert [tuple(row) for row in found] == [(number, late) for number in (1, 2, 3, 4)]
