"""Counts are those of the journal and of the table, whenever the tally began, and whoever counts beside it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from tests.integration.jobs.conftest import Bench
from worker.errors import Unavailable
from worker.jobs.tally import Tally
from worker.postgres.session import Database, Session, statement

COUNTED = """
select s.segment, c.members from segment_counts c join segments s using (segment_key) where c.members > 0
"""
TABLE = "select s.segment, count(*) from memberships m join segments s using (segment_key) where included group by 1"
OVERVIEW = "select segment, members, entered_today, exited_today, as_of_sequence from segment_overview order by 1"


@pytest.fixture
async def counting(bench: Bench) -> AsyncIterator[Session]:
    session = Database(bench.settings).session("tally")
    yield session
    await session.close()


async def counted(bench: Bench, tally: Tally) -> int:
    """Run the job until all is counted, the first count too; how many rows of the journal it read."""
    done = 0
    async with asyncio.timeout(30):
        while (await bench.session.row("tally_behind"))["is_begun"] is False:
            await tally.turn(bench.session)
            await asyncio.sleep(0.01)
    return done + await bench.all_of(tally)


async def journal(bench: Bench, user: str, at: datetime, *, entered: list[int] = (), exited: list[int] = ()) -> None:  # type: ignore[assignment] # an empty tuple is as good as an empty list
    """A row as the line writes it, with its effect on the table."""
    await bench.sql.execute(
        """
        with numbers as (select * from journal_numbers(1, $2))
        insert into journal (sequence, time, type, reason, user_id, entered, exited)
        select taken_after + 1, time, 'membership.changed', 'command', $1, nullif($3::integer[], '{}'),
            nullif($4::integer[], '{}') from numbers
        """,
        user,
        at,
        list(entered),
        list(exited),
    )


async def test_a_new_database_counts_from_the_first_row(bench: Bench, counting: Session) -> None:
    one, two = await bench.segment("one"), await bench.segment("two")
    tally = Tally(counting)
    assert await counted(bench, tally) == 0
    now = datetime.now(UTC)
    await journal(bench, "ada", now, entered=[one, two])
    await journal(bench, "bob", now, entered=[one])
    await journal(bench, "ada", now, exited=[two])
    await journal(bench, "eve", now)
    assert await counted(bench, tally) == 4
    assert await counted(bench, tally) == 0, "nothing is counted twice"
    rows = [tuple(row) for row in await bench.sql.fetch(OVERVIEW)]
    assert rows == [("one", 2, 2, 0, 4), ("two", 0, 1, 1, 4)]


async def test_before_the_first_count_nothing_is_claimed(bench: Bench) -> None:
    await bench.segment("one")
    assert [tuple(row) for row in await bench.sql.fetch(OVERVIEW)] == [("one", None, 0, 0, None)]


async def test_a_database_with_memberships_is_counted_once_as_of_a_sequence(bench: Bench, counting: Session) -> None:
    one = await bench.segment("one")
    await bench.users(1_000)
    await bench.sql.execute(
        "insert into memberships (user_key, since, segment_key, origin, included)"
        " select user_key, now(), $1, 'command', user_key % 10 <> 0 from users",
        one,
    )
    await journal(bench, "user-1", datetime.now(UTC), entered=[one])
    tally = Tally(counting)
    assert await counted(bench, tally) == 0, "what the count has seen is not read from the journal again"
    assert [tuple(row) for row in await bench.sql.fetch(COUNTED)] == [tuple(r) for r in await bench.sql.fetch(TABLE)]
    await journal(bench, "user-2", datetime.now(UTC), exited=[one])
    assert await counted(bench, Tally(counting)) == 1
    assert await bench.sql.fetchval(COUNTED.replace("s.segment, ", "")) == 899


async def test_days_are_in_utc(bench: Bench, counting: Session) -> None:
    one = await bench.segment("one")
    tally = Tally(counting)
    await counted(bench, tally)
    await journal(bench, "ada", datetime(2026, 5, 10, 23, 59, 59, tzinfo=UTC), entered=[one])
    await journal(bench, "ada", datetime(2026, 5, 11, tzinfo=UTC), exited=[one])
    await journal(bench, "ada", datetime(2026, 5, 11, 12, tzinfo=UTC), entered=[one])
    await counted(bench, tally)
    rows = await bench.sql.fetch("select day::text, entered, exited from segment_days order by day")
    assert [tuple(row) for row in rows] == [("2026-05-10", 1, 0), ("2026-05-11", 1, 1)]


async def test_two_leaders_count_nothing_twice(bench: Bench, counting: Session) -> None:
    one = await bench.segment("one")
    tallies = [Tally(counting), Tally(counting)]
    await counted(bench, tallies[0])
    for number in range(200):
        await journal(bench, f"user-{number}", datetime.now(UTC), entered=[one])
    tallies[0]._size.rows = tallies[1]._size.rows = 7
    sessions = [Database(bench.settings).session(f"leader {number}") for number in range(2)]

    async def run(tally: Tally, session: Session) -> None:
        while await tally.turn(session) is not None:
            pass

    try:
        await asyncio.gather(*(run(*pair) for pair in zip(tallies, sessions, strict=True)))
    finally:
        for session in sessions:
            await session.close()
    assert [tuple(row) for row in await bench.sql.fetch(OVERVIEW)] == [("one", 200, 200, 0, 200)]


async def test_a_count_that_is_cut_off_is_begun_anew(bench: Bench, counting: Session) -> None:
    one = await bench.segment("one")
    await journal(bench, "ada", datetime.now(UTC), entered=[one])
    locked = Database(bench.settings).session("other")
    tally = Tally(counting)
    async with locked.transaction():
        await locked.fetch("tally_cursor")
        assert await tally.turn(bench.session) is None
        for _ in range(20):
            await asyncio.sleep(0.01)
        counting.drop()
    await locked.close()
    assert await counted(bench, tally) == 0
    assert await bench.sql.fetchval("select sequence from tally") == 1


async def test_retention_waits_for_what_is_not_counted(bench: Bench, counting: Session) -> None:
    one = await bench.segment("one")
    tally = Tally(counting)
    await counted(bench, tally)
    await bench.sql.execute(
        "select journal_partition_make(month::date) from (values ('2026-05-01'), ('2026-06-01')) m (month)"
    )
    await journal(bench, "ada", datetime(2026, 5, 10, tzinfo=UTC), entered=[one])
    await journal(bench, "bob", datetime(2026, 6, 10, tzinfo=UTC), entered=[one])
    await bench.sql.execute("update relay set published_sequence = 2")
    await bench.sql.execute("insert into reports (month, published_at) values ('2026-05-01', now())")
    before = datetime(2026, 8, 1, tzinfo=UTC)
    drop = statement("journal_drop")
    assert await bench.sql.fetch(drop, before) == []
    await counted(bench, tally)
    assert [row["name"] for row in await bench.sql.fetch(drop, before)] == ["journal_202605"]


async def test_a_count_that_can_not_be_made_is_the_jobs_failure_alone(bench: Bench) -> None:
    class Broken:
        async def fetch(self, name: str) -> list[object]:
            raise Unavailable("away")

        async def close(self) -> None:
            """Nothing is open."""

    tally = Tally(Broken())  # type: ignore[arg-type] # stands for a session
    assert await tally.turn(bench.session) is None
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert await tally.turn(bench.session) is None, "it is tried again"
