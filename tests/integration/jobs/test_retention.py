"""Retention: names, rollouts and the journal's months go when they may, and not before."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import asyncpg
import isodate
import pytest

from tests.integration.jobs.conftest import START, Bench
from worker.errors import Hindered
from worker.jobs.retention import Retention
from worker.jobs.rollout import Rollout

WINDOW = timedelta(days=7)
LOCK_SECONDS_MAX = 5


def retention(bench: Bench) -> Retention:
    return Retention(bench.clock, WINDOW, isodate.Duration(months=2))


async def months(bench: Bench) -> list[str]:
    rows = await bench.sql.fetch(
        "select inhrelid::regclass::text as name from pg_inherits where inhparent = 'journal'::regclass"
    )
    return sorted(row["name"] for row in rows if row["name"] != "journal_default")


async def journal(bench: Bench, sequence: int, at: datetime) -> None:
    await bench.sql.execute(
        "insert into journal (sequence, time, type) values ($1, $2, 'membership.changed')", sequence, at
    )


async def test_old_names_are_forgotten(bench: Bench) -> None:
    for age in (timedelta(days=8), timedelta(days=6)):
        await bench.sql.execute("insert into inbox (name, seen_at) values (gen_random_uuid(), $1)", START - age)
    assert await bench.all_of(retention(bench)) == 1
    assert await bench.sql.fetchval("select min(seen_at) from inbox") == START - timedelta(days=6)


async def test_months_are_made_ahead_and_take_what_was_written_before(bench: Bench) -> None:
    bench.now = datetime(2031, 1, 31, 23, 59, tzinfo=UTC)
    await journal(bench, 1, bench.now)
    assert await bench.sql.fetchval("select count(*) from journal_default") == 1
    await bench.all_of(retention(bench))
    assert {"journal_203101", "journal_203102", "journal_203103"} <= set(await months(bench))
    assert await bench.sql.fetchval("select count(*) from journal_default") == 0
    assert await bench.sql.fetchval("select count(*) from journal_203101") == 1


async def test_a_month_goes_when_it_is_old_published_and_reported(bench: Bench) -> None:
    bench.now = datetime(2020, 1, 15, tzinfo=UTC)
    await bench.all_of(retention(bench))
    await journal(bench, 1, bench.now)
    bench.now = datetime(2020, 4, 2, tzinfo=UTC)
    await bench.all_of(retention(bench))
    assert "journal_202001" in await months(bench), "it is not published"
    await bench.sql.execute("update relay set published_sequence = 1")
    await bench.all_of(retention(bench))
    assert "journal_202001" in await months(bench), "it has no report"
    await bench.sql.execute("insert into reports values ('2020-01-01', now())")
    bench.now = datetime(2020, 3, 31, 23, 59, tzinfo=UTC)
    await bench.all_of(retention(bench))
    assert "journal_202001" in await months(bench), "it is not old enough"
    bench.now = datetime(2020, 4, 2, tzinfo=UTC)
    await bench.all_of(retention(bench))
    assert "journal_202001" not in await months(bench)
    assert "journal_202002" in await months(bench)


async def test_finished_rollouts_are_forgotten(bench: Bench) -> None:
    await bench.users(1)
    await bench.segment("s", Decimal(100))
    await bench.all_of(Rollout(bench.clock))
    bench.passes(days=29)
    await bench.all_of(retention(bench))
    assert await bench.sql.fetchval("select count(*) from rollouts") == 1
    bench.passes(days=2)
    await bench.all_of(retention(bench))
    assert await bench.sql.fetchval("select count(*) from rollouts") == 0


@pytest.fixture
async def old(bench: Bench) -> Bench:
    """January 2020 is old, published and reported."""
    bench.now = datetime(2020, 1, 15, tzinfo=UTC)
    await bench.all_of(retention(bench))
    await journal(bench, 1, bench.now)
    await bench.sql.execute("update relay set published_sequence = 1")
    await bench.sql.execute("insert into reports values ('2020-01-01', now())")
    bench.now = datetime(2020, 4, 2, tzinfo=UTC)
    return bench


async def test_a_month_stays_until_its_last_row_is_published(old: Bench) -> None:
    await journal(old, 2, datetime(2020, 1, 31, tzinfo=UTC))
    await old.all_of(retention(old))
    assert "journal_202001" in await months(old)


async def test_a_report_that_is_not_published_is_none(old: Bench) -> None:
    await old.sql.execute("update reports set published_at = null")
    await old.all_of(retention(old))
    assert "journal_202001" in await months(old)


async def test_who_reads_the_journal_for_long_holds_up_retention_alone(old: Bench) -> None:
    """It gives up soon, so that nobody has to queue behind it, and is tried again."""
    other = await asyncpg.connect(old.settings.database_url.get_secret_value())
    async with old.sql.transaction():
        await old.sql.execute("select count(*) from journal")
        with pytest.raises(Hindered):
            async with asyncio.timeout(LOCK_SECONDS_MAX):
                await old.all_of(retention(old))
        await other.execute(
            "insert into journal (sequence, time, type) values (2, now(), 'segment.created')", timeout=5
        )
        assert "journal_202001" in await months(old)
    await old.all_of(retention(old))
    assert "journal_202001" not in await months(old)
    await other.close()
