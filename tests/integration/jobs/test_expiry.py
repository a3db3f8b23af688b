"""Expiry: what is due ends with its event, what can't be expired waits, what was renewed stays."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import asyncpg

from tests.integration.jobs.conftest import Bench
from tests.support.events import rows
from tests.support.line import line, working
from worker.jobs.expiry import AGAIN, HELD_SECONDS, HELD_SECONDS_MAX, Expiry
from worker.jobs.retention import Retention
from worker.settings import Settings

ADD = (
    "insert into memberships (user_key, segment_key, included, origin, since, expires_at)"
    " select n, $1, true, 'command', $2, $3 from generate_series($4::integer, $5::integer) n"
)


REFUSE = """
create function refuse() returns trigger language plpgsql as $$
begin
    if old.user_key = {user_key} then {does}; end if;
    return old;
end $$;
create trigger refuse before delete on memberships for each row execute function refuse()
"""
DUE_PER_SECOND, DUE_SECONDS, LATE_SECONDS_MAX = 1_000, 4, 2


async def refuse(bench: Bench, user_key: int, does: str = "raise exception 'stuck'") -> None:
    """From now on the database lets nobody end that user's memberships."""
    await bench.sql.execute(REFUSE.format(user_key=user_key, does=does))


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
    await refuse(bench, 77)
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


async def test_what_the_database_keeps_in_silence_is_not_said_to_have_ended(bench: Bench) -> None:
    await bench.users(3)
    key = await bench.segment("s")
    await members(bench, key, 1, 3, 5)
    bench.passes(seconds=6)
    await refuse(bench, 2, "return null")
    await bench.all_of(Expiry(bench.clock))
    assert {row["user_id"] for row in await bench.journaled("expiry")} == {"user-1", "user-3"}
    assert await bench.members(key) == {"user-2"}
    assert "kept 1 membership" in await bench.sql.fetchval("select error from expiry_held")


async def test_a_membership_of_nobody_is_held_back(bench: Bench) -> None:
    """There is none while only the worker writes; the journal must never tell of a user without an id."""
    await bench.users(2)
    key = await bench.segment("s")
    await members(bench, key, 1, 3, 5)
    bench.passes(seconds=6)
    await bench.all_of(Expiry(bench.clock))
    assert {row["user_id"] for row in await bench.journaled("expiry")} == {"user-1", "user-2"}
    assert await bench.sql.fetchval("select user_key from expiry_held") == 3


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


async def test_who_is_in_hand_while_another_fails_is_not_held_back_for_it(bench: Bench) -> None:
    """A command has the first in hand, the second fails: the second is held back."""
    await bench.users(3)
    key = await bench.segment("s")
    for number in (1, 2, 3):
        await members(bench, key, number, number, number)
    await refuse(bench, 2)
    bench.passes(seconds=6)
    expiry = Expiry(bench.clock)
    async with bench.sql.transaction():
        await bench.sql.execute("select from memberships where user_key = 1 for update")
        assert await bench.all_of(expiry) == 1
    assert await bench.sql.fetchval("select array_agg(user_key) from expiry_held") == [2]
    assert await bench.all_of(expiry) == 1
    assert await bench.members(key) == {"user-2"}


async def test_who_was_passed_by_does_not_wait_for_a_lull(bench: Bench) -> None:
    """The first was in hand when its time came, and others fall due without an end."""
    await bench.users(20)
    key = await bench.segment("s")
    for number in range(1, 21):
        await members(bench, key, number, number, number)
    expiry = Expiry(bench.clock)
    bench.passes(seconds=2)
    async with bench.sql.transaction():
        await bench.sql.execute("select from memberships where user_key = 1 for update")
        assert await expiry.turn(bench.session) == 1
    late = timedelta(0)
    while "user-1" in await bench.members(key):
        bench.passes(seconds=1)
        late += timedelta(seconds=1)
        assert await expiry.turn(bench.session)
        assert late <= AGAIN + timedelta(seconds=2)


async def test_one_that_fails_again_waits_longer(bench: Bench) -> None:
    await bench.users(1)
    key = await bench.segment("s")
    await members(bench, key, 1, 1, 1)
    await refuse(bench, 1)
    bench.passes(seconds=2)
    expiry = Expiry(bench.clock)
    waits = []
    for _ in range(6):
        await bench.all_of(expiry)
        retry_at = await bench.sql.fetchval("select retry_at from expiry_held")
        waits.append((retry_at - bench.now).total_seconds())
        bench.now = retry_at
    assert waits == [min(HELD_SECONDS * 2**number, HELD_SECONDS_MAX) for number in range(6)]


async def test_what_is_no_expiry_any_more_is_held_back_no_longer(bench: Bench) -> None:
    await bench.users(2)
    key = await bench.segment("s")
    await members(bench, key, 1, 2, 1)
    await refuse(bench, 1)
    bench.passes(seconds=2)
    await bench.all_of(Expiry(bench.clock))
    await bench.sql.execute("update memberships set expires_at = null")
    await bench.all_of(Retention(bench.clock, timedelta(days=7), timedelta(days=365)))
    assert await bench.sql.fetchval("select count(*) from expiry_held") == 0


async def test_within_two_seconds_and_after_an_outage(settings: Settings, topics: list[str]) -> None:
    """What fell due while no worker was up ends as soon as one is; then a thousand a second, each in time."""
    async with line(settings) as outside:
        connection = await asyncpg.connect(settings.database_url.get_secret_value())
        count = DUE_PER_SECOND * DUE_SECONDS
        await connection.execute(
            "insert into users (user_id, registered_at)"
            " select 'user-' || n, now() from generate_series(1, $1::integer) n",
            count,
        )
        for name in ("missed", "due"):
            await connection.execute(
                "insert into segments (segment, segment_id, salt, created_at, updated_at)"
                " values ($1, gen_random_uuid(), gen_random_uuid(), now(), now())",
                name,
            )
        now = datetime.now(UTC)
        await connection.execute(ADD, 1, now, now - timedelta(days=3), 1, count)
        async with working(settings):
            await outside.until(lambda said: len(said) >= count)
            begins = datetime.now(UTC) + timedelta(seconds=1)
            await connection.execute(
                "insert into memberships (user_key, segment_key, included, origin, since, expires_at)"
                " select n, 2, true, 'command', now(), $1::timestamptz + n * interval '1 ms'"
                " from generate_series(1, $2::integer) n",
                begins,
                count,
            )
            said = await outside.until(lambda said: len(said) >= 2 * count)
        await connection.close()
    assert {one.data["exited"][0]["segment"] for one in said[:count]} == {"missed"}
    late = [
        datetime.fromisoformat(one.event["time"]) - begins - int(one.data["user_id"].rpartition("-")[2]) * MILLISECOND
        for one in said[count:]
    ]
    assert timedelta(0) <= min(late) <= max(late) <= timedelta(seconds=LATE_SECONDS_MAX)
    assert await rows(settings, "select from memberships") == []


MILLISECOND = timedelta(milliseconds=1)
