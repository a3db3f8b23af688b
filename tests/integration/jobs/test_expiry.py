"""Expiry: what is due ends with its event, what can't be expired waits, what was renewed stays."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from tests.integration.jobs.conftest import Bench
from worker.jobs.expiry import HELD_SECONDS, Expiry

ADD = (
    "insert into memberships (user_key, segment_key, included, origin, since, expires_at)"
    " select n, $1, true, 'command', $2, $3 from generate_series($4::integer, $5::integer) n"
)


async def members(bench: Bench, key: int, first: int, last: int, seconds: float) -> None:
    """Members by command, whose time is over after so many seconds."""
    await bench.sql.execute(ADD, key, bench.now, bench.now + timedelta(seconds=seconds), first, last)


async def test_what_is_due_ends(bench: Bench) -> None:
    await bench.users(3_000)
    key = await bench.segment("s")
    await members(bench, key, 1, 2_500, 10)
    await members(bench, key, 2_501, 3_000, 20)
    expiry = Expiry(bench.clock)
    assert await bench.all_of(expiry) == 0
    bench.passes(seconds=10)
    assert await bench.all_of(expiry) == 2_500
    assert await bench.members(key) == {f"user-{n}" for n in range(2_501, 3_001)}
    events = await bench.journaled("expiry")
    assert {row["user_id"] for row in events} == {f"user-{n}" for n in range(1, 2_501)}
    assert all(row["exited"] == [key] for row in events)


async def test_one_event_for_each_user(bench: Bench) -> None:
    await bench.users(2)
    keys = [await bench.segment(f"s{number}") for number in range(3)]
    for key in keys:
        await members(bench, key, 1, 2, 5)
    bench.passes(seconds=6)
    await bench.all_of(Expiry(bench.clock))
    assert [(row["user_id"], row["exited"]) for row in await bench.journaled("expiry")] == [
        ("user-1", keys),
        ("user-2", keys),
    ]


async def test_inside_the_percent_it_goes_on(bench: Bench) -> None:
    await bench.users(1)
    key = await bench.segment("s")
    await members(bench, key, 1, 1, 5)
    await bench.sql.execute("update segments set percent = 100")
    bench.passes(seconds=6)
    await bench.all_of(Expiry(bench.clock))
    row = await bench.sql.fetchrow("select origin, expires_at, included from memberships")
    assert row is not None
    assert (row["origin"], row["expires_at"], row["included"]) == ("rollout", None, True)
    (said,) = await bench.journaled("expiry")
    assert (said["exited"], said["renewed"], said["expires_at"]) == (None, [key], None)


async def test_the_view_knows_at_once(bench: Bench) -> None:
    """Before any job has run: what is over is inactive, or goes on by the percent."""
    await bench.users(2)
    for name, percent in (("out", None), ("in", Decimal(100))):
        key = await bench.segment(name)
        await bench.sql.execute("update segments set percent = $1 where segment_key = $2", percent, key)
        await members(bench, key, 1, 1, -1)
    rows = await bench.sql.fetch("select user_id, segment, origin, expires_at from active_memberships")
    assert [tuple(row) for row in rows] == [("user-1", "in", "rollout", None)]


async def test_one_that_fails_holds_up_no_other(bench: Bench) -> None:
    await bench.users(1_000)
    key = await bench.segment("s")
    await members(bench, key, 1, 1_000, 5)
    await bench.sql.execute(
        "create function refuse() returns trigger language plpgsql as $$ begin"
        " if old.user_key = 77 then raise exception 'stuck'; end if; return old; end $$;"
        " create trigger refuse before delete on memberships for each row execute function refuse()"
    )
    bench.passes(seconds=6)
    expiry = Expiry(bench.clock)
    assert await bench.all_of(expiry) == 999
    assert await bench.members(key) == {"user-77"}
    assert (await bench.sql.fetchval("select error from expiry_held")) == "stuck"
    await bench.sql.execute("drop trigger refuse on memberships")
    assert await bench.all_of(expiry) == 0
    bench.passes(seconds=HELD_SECONDS + 1)
    assert await bench.all_of(expiry) == 1
    assert await bench.sql.fetchval("select count(*) from expiry_held") == 0


async def test_renewed_in_the_last_moment_stays(bench: Bench) -> None:
    """A command renews it in a transaction that the job meets: the job passes it by, and looks again."""
    await bench.users(2)
    key = await bench.segment("s")
    await members(bench, key, 1, 2, 5)
    bench.passes(seconds=6)
    expiry = Expiry(bench.clock)
    async with bench.sql.transaction():
        await bench.sql.execute(
            "update memberships set expires_at = $1 where user_key = 1", bench.now + timedelta(hours=1)
        )
        assert await bench.all_of(expiry) == 1
    assert await bench.all_of(expiry) == 0
    assert await bench.members(key) == {"user-1"}
