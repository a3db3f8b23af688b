"""What PostgreSQL itself may say to a command: some of it passes and is tried again, some is the data's own.

What lasts is tested in test_blame.py.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime

import asyncpg
import pytest

from tests.support.events import rows
from tests.support.line import Line, line, working
from worker.errors import Slow, Unavailable
from worker.postgres.connect import SESSION_SETTINGS
from worker.postgres.session import Database
from worker.settings import Settings

PASSING = {
    "40P01": "deadlock_detected",
    "40001": "serialization_failure",
    "55P03": "lock_not_available",
    "57014": "query_canceled",
    "57P01": "admin_shutdown",
    "53100": "disk_full",
    "53200": "out_of_memory",
    "53300": "too_many_connections",
    "25006": "read_only_sql_transaction",
    "58030": "io_error",
}
TRIGGER = """
create sequence tries;
create function obstruct() returns trigger language plpgsql as $$
begin
    if new.user_id = 'cursed' and nextval('tries') <= {times} then
        {action};
    end if;
    return new;
end $$;
create {constraint} trigger obstruct {moment} insert on users {deferred} for each row execute function obstruct();
"""


async def _obstruct(
    settings: Settings, action: str, *, times: int = 3, moment: str = "before", is_deferred: bool = False
) -> None:
    """From now on the user `cursed` meets trouble when it is registered; a sequence outlives each rollback."""
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    words = {"constraint": "constraint", "deferred": "deferrable initially deferred", "moment": "after"}
    plain = {"constraint": "", "deferred": "", "moment": moment}
    await connection.execute(TRIGGER.format(action=action, times=times, **(words if is_deferred else plain)))
    await connection.close()


@pytest.mark.parametrize("code", PASSING, ids=PASSING.get)
async def test_what_passes_is_tried_again(settings: Settings, topics: list[str], code: str) -> None:
    await _obstruct(settings, f"raise exception using errcode = '{code}', message = 'not now'")
    async with line(settings) as outside:
        sent = await _send(outside)
        async with working(settings):
            await _hold_all_applied(outside, sent)
    assert await rows(settings, "select last_value >= 3 as tried from tries") == [{"tried": True}]


async def test_one_that_failed_is_a_duplicate_afterwards(settings: Settings, topics: list[str]) -> None:
    """Its refusal is its outcome, like any other."""
    await _obstruct(settings, "raise exception 'never'", times=2)
    async with line(settings) as outside, working(settings):
        command = await outside.send("user.register", {"user_id": "cursed"})
        assert (await outside.outcome(command)).data["code"] == "failed"
        await rows(settings, "select setval('tries', 1000)")
        await outside.send("user.register", {"user_id": "cursed"}, id=command)
        await outside.settled()
        assert (await outside.outcome(command)).data["code"] == "failed"
        assert (await outside.ask("user.register", {"user_id": "cursed"})).type == "membership.changed"


async def test_what_the_commit_finds_is_the_commands_own_too(settings: Settings, topics: list[str]) -> None:
    """A deferred constraint speaks up in COMMIT, when nothing is in doubt."""
    await _obstruct(
        settings, "raise exception using errcode = '23514', message = 'never'", times=1_000, is_deferred=True
    )
    async with line(settings) as outside:
        sent = await _send(outside)
        async with working(settings):
            kinds = {user: (await outside.outcome(command)).type for user, command in sent}
    assert {user for user, kind in kinds.items() if kind == "command.rejected"} == {"cursed"}


@pytest.mark.parametrize("is_deferred", [False, True], ids=["in a statement", "in commit"])
async def test_the_backend_ends(settings: Settings, topics: list[str], is_deferred: bool) -> None:
    """For real: the server's process for this connection is terminated, three times over."""
    await _obstruct(settings, "perform pg_terminate_backend(pg_backend_pid())", is_deferred=is_deferred)
    async with line(settings) as outside:
        sent = await _send(outside)
        async with working(settings):
            await _hold_all_applied(outside, sent)
    assert await rows(settings, "select last_value >= 3 as tried from tries") == [{"tried": True}]


async def test_a_session_that_ends_between_statements_leaves_nothing(settings: Settings) -> None:
    """The driver has noticed its end; the rest of the transaction must not go to another connection, by itself."""
    session = Database(settings).session("test")
    now = datetime.now(UTC)
    with pytest.raises(Unavailable, match="ended in a transaction"):
        async with session.transaction():
            await session.fetch("users_register", ["a"], now)
            assert session._connection is not None
            with contextlib.suppress(asyncpg.PostgresError):
                await session._connection.execute("select pg_terminate_backend(pg_backend_pid())")
            await session.fetch("users_register", ["b"], now)
    assert await rows(settings, "select from users") == []
    await session.fetch("users_register", ["c"], now)
    assert await rows(settings, "select user_id from users") == [{"user_id": "c"}]
    await session.close()


async def test_a_statement_that_takes_too_long_does_not_go_on(settings: Settings) -> None:
    """The server has ended it, and let go of its locks, before anybody tries again."""
    session = Database(settings).session("slow", statement_seconds_max=0.2)
    await _obstruct(settings, "perform pg_sleep(60)")
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    with pytest.raises(Slow):
        async with session.transaction():
            await session.fetch("users_register", ["cursed"], datetime.now(UTC))
    active = "select count(*) from pg_stat_activity where application_name like '%slow' and state <> 'idle'"
    assert await connection.fetchval(active) == 0
    await session.row("journal_head")
    await session.close()
    await connection.close()


async def _send(outside: Line) -> list[tuple[str, str]]:
    users = [*(f"a{number}" for number in range(6)), "cursed", *(f"b{number}" for number in range(6))]
    return [(user, await outside.send("user.register", {"user_id": user}, partition=0)) for user in users]


async def _hold_all_applied(outside: Line, sent: list[tuple[str, str]]) -> None:
    """Each once, in the order in which they were sent."""
    outcomes = [await outside.outcome(command) for _, command in sent]
    assert [one.data["user_id"] for one in outcomes] == [user for user, _ in sent]
    assert [int(one.event["sequence"]) for one in outcomes] == list(range(1, len(sent) + 1))
    assert len(await outside.settled()) == len(sent)


async def test_a_session_that_was_silent_for_too_long_is_given_more_time(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or an event loop that is always as busy would never get a batch through."""
    monkeypatch.setitem(SESSION_SETTINGS, "idle_in_transaction_session_timeout", "50ms")
    session = Database(settings).session("busy")
    with pytest.raises(Unavailable):
        async with session.transaction():
            connection = await session._live()
            async with asyncio.timeout(30):
                while not connection.is_closed():
                    await asyncio.sleep(0.01)
            await session.row("journal_head")
    for patience in ("4s", "4s"):
        async with session.transaction():
            connection = await session._live()
            assert await connection.fetchval("show idle_in_transaction_session_timeout") == patience
    session.drop()
    assert await (await session._live()).fetchval("show idle_in_transaction_session_timeout") == "50ms"
    await session.close()


async def test_a_session_that_ends_before_it_is_pinned_is_not_replaced(settings: Settings) -> None:
    """Whoever took a lock over it would go on without."""
    session = Database(settings).session("elected")
    pid = (await session.row("election_try", 1)) and await _pid(settings, "segmentation elected")
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    await connection.execute("select pg_terminate_backend($1)", pid)
    async with asyncio.timeout(30):
        while session._connection is not None and not session._connection.is_closed():
            await asyncio.sleep(0.01)
    with pytest.raises(Unavailable):
        await session.pin(10)
    assert await connection.fetchval("select count(*) from pg_locks where locktype = 'advisory' and classid = 1") == 0
    await connection.close()
    session.drop()
    await session.row("journal_head")
    await session.close()


async def _pid(settings: Settings, name: str) -> int:
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    pid = await connection.fetchval("select pid from pg_stat_activity where application_name = $1", name)
    await connection.close()
    return int(pid)
