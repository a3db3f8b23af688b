"""Every table has a key, so that a publication of all tables stops nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import isodate

from tests.integration.jobs.conftest import Bench
from worker.jobs.deletion import Deletion
from worker.jobs.expiry import Expiry
from worker.jobs.retention import Retention
from worker.jobs.rollout import Rollout

KEYLESS = """
select c.oid::regclass::text as name from pg_class c
where c.relkind = 'r' and c.relnamespace = current_schema()::regnamespace
    and not exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary)
"""
WINDOW = timedelta(days=7)


async def test_every_table_has_a_primary_key(bench: Bench) -> None:
    """The journal is kept in its months, each of which has one; so has a month that is made later."""
    bench.now = datetime(2041, 1, 31, tzinfo=UTC)
    await bench.all_of(Retention(bench.clock, WINDOW, isodate.Duration(months=2)))
    assert await bench.sql.fetchval("select to_regclass('journal_204103')") is not None
    assert await bench.sql.fetch(KEYLESS) == []


async def test_a_publication_of_all_tables_stops_no_job(bench: Bench) -> None:
    """Where a table had no key, PostgreSQL would refuse its updates and deletes."""
    await bench.sql.execute("set client_min_messages = error; create publication everything for all tables")
    bench.now = datetime(2042, 1, 31, tzinfo=UTC)
    await bench.sql.execute(
        "insert into inbox (name, seen_at) values (gen_random_uuid(), $1)", bench.now - timedelta(days=8)
    )
    await bench.sql.execute(
        "insert into journal (sequence, time, type) values (1, $1, 'membership.changed')", bench.now
    )
    assert await bench.all_of(Retention(bench.clock, WINDOW, isodate.Duration(months=2))) == 1
    assert await bench.sql.fetchval("select count(*) from journal_204201") == 1
    await bench.sql.execute("update journal_head set sequence = 1")
    await bench.users(3)
    key = await bench.segment("s", 100)
    assert await bench.all_of(Rollout(bench.clock)) == 3
    await bench.sql.execute("update memberships set expires_at = $1", bench.now)
    assert await bench.all_of(Expiry(bench.clock)) == 3
    await bench.session.fetch("segments_delete", ["s"], bench.now)
    assert await bench.all_of(Deletion(bench.clock)) == 3
    assert await bench.members(key) == set()
