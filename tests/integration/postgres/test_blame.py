"""An error that lasts is of one command, which is rejected, or of the database's state, which is waited for."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import asyncpg
import pytest

from tests.support.events import rows
from tests.support.line import Said, line, working
from worker.line import trials
from worker.line.batch import ReceivedCommand
from worker.line.handlers import Context
from worker.local.server import HOST, free_port
from worker.observability import metrics
from worker.settings import Settings

CODES = (
    "08006",
    "0A000",
    "22021",
    "22P02",
    "23514",
    "25006",
    "28000",
    "38000",
    "40001",
    "42501",
    "42703",
    "42P01",
    "45000",
    "53400",
    "54000",
    "55000",
    "57014",
    "57P01",
    "58030",
    "P0001",
    "P0002",
    "XX000",
    "ZZ999",
)
"""Of each kind at least one; nobody knows the last."""
OF_ALL = ("0A000", "23505", "25006", "42501", "57014", "58030", "P0001", "XX000")
OBSTRUCT = """
create or replace function obstruct() returns trigger language plpgsql as $$
begin
    if {condition} then
        raise exception using errcode = {code}, message = 'no';
    end if;
    return new;
end $$;
create or replace trigger obstruct before insert on {table} for each row execute function obstruct()
"""
OF_ONE = {"condition": "new.user_id like 'cursed%'", "code": "split_part(new.user_id, '-', 2)"}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many tries as ever, with short pauses."""
    monkeypatch.setattr(trials, "FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(trials, "PAUSE_SECONDS_MAX", 0.05)


@pytest.mark.parametrize("codes", [CODES[::3], pytest.param(CODES, marks=pytest.mark.slow)], ids=["some", "all"])
async def test_what_lasts_is_the_commands_own(settings: Settings, topics: list[str], codes: tuple[str, ...]) -> None:
    """Whatever the SQLSTATE: a trigger has something against some users, among others in one batch."""
    users = [user for code in codes for user in (f"a-{code}", f"cursed-{code}", f"b-{code}")]
    async with _administering(settings) as server, line(settings) as outside:
        await server.execute(OBSTRUCT.format(table="users", **OF_ONE))
        sent = [(user, await outside.send("user.register", {"user_id": user}, partition=0)) for user in users]
        async with working(settings):
            for user, command in sent:
                one = await outside.outcome(command)
                if user.startswith("cursed"):
                    assert (one.type, one.data["code"]) == ("command.rejected", "failed"), user
                    assert one.data["message"].startswith("The database refused this command: no")
                    assert (one.data["command_id"], one.data["errors"]) == (command, [])
                else:
                    assert one.data["user_id"] == user
    known = await rows(settings, "select user_id from users order by user_id")
    assert [row["user_id"] for row in known] == sorted(user for user in users if not user.startswith("cursed"))


@pytest.mark.parametrize("is_scheduled", [False, True], ids=["at once", "later"])
async def test_a_mistake_of_the_worker_stops_one_command(
    settings: Settings, topics: list[str], monkeypatch: pytest.MonkeyPatch, is_scheduled: bool
) -> None:
    """An exception that nobody foresaw is rejected with the command that brings it about; all others are applied."""
    count = Context.count

    def mistaken(context: Context, record: ReceivedCommand[Any], outcome: str) -> None:
        if record.what.type == "user.forget" and record.what.data.user_id == "cursed":
            raise TypeError("can't compare offset-naive and offset-aware datetimes")
        count(context, record, outcome)

    monkeypatch.setattr(Context, "count", mistaken)
    users = ["a", "cursed", "b"]
    async with line(settings) as outside, working(settings):
        for user in users:
            await outside.ask("user.register", {"user_id": user})
        at = datetime.now(UTC) + timedelta(seconds=1) if is_scheduled else None
        sent = {user: await outside.send("user.forget", {"user_id": user}, effectiveat=at) for user in users}
        said = await outside.until(lambda said: {*sent.values()} <= {one.cause for one in said if _is_outcome(one)})
    outcomes = {one.cause: one for one in said if _is_outcome(one)}
    rejected = outcomes[sent["cursed"]].data
    assert rejected["code"] == "failed"
    assert rejected["message"].startswith("A mistake in the worker kept this command from being applied: TypeError")
    assert [outcomes[sent[user]].data.get("reason") for user in ("a", "b")] == ["user_forgotten"] * 2


async def test_a_mistake_at_all_commands_rejects_none(
    settings: Settings, topics: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is waited for, as the next version may be without it."""
    count, tries = Context.count, 0

    def mistaken(context: Context, record: ReceivedCommand[Any], outcome: str) -> None:
        nonlocal tries
        tries += 1
        if tries <= 30:
            raise TypeError("always")
        count(context, record, outcome)

    monkeypatch.setattr(Context, "count", mistaken)
    async with line(settings) as outside, working(settings):
        one = await outside.ask("user.register", {"user_id": "a"})
    assert one.data.get("reason") == "user_registered"
    assert tries > 30


def _is_outcome(one: Said) -> bool:
    return not one.event["type"].endswith("command.scheduled.v1")


async def test_what_is_of_all_is_waited_for(settings: Settings, topics: list[str]) -> None:
    """No command is rejected for the database's state, though the SQLSTATE may be one of the data."""
    settings = settings.model_copy(update={"http_address": f"{HOST}:{free_port()}"})
    async with _administering(settings) as server, line(settings) as outside, working(settings):
        for code in OF_ALL:
            await server.execute(OBSTRUCT.format(table="users", condition="true", code=f"'{code}'"))
            first = await outside.send("user.register", {"user_id": f"u-{code}"})
            await _unready(settings, "refuses harmless commands too")
            assert metrics.REFUSING._value.get() == 1
            await server.execute("drop trigger obstruct on users")
            assert (await outside.outcome(first)).type == "membership.changed"
        assert metrics.REFUSING._value.get() == 0


MANY_USERS = "insert into users (user_id, registered_at) select n::text, now() from generate_series(1, 5000) n"
BROKEN = {
    "a table is missing": ("alter table inbox rename to gone", "alter table gone rename to inbox"),
    "a sequence begins anew": (
        "select setval(pg_get_serial_sequence('users', 'user_key'), 1, false)",
        "select setval(pg_get_serial_sequence('users', 'user_key'), 10000)",
    ),
    "nothing can be journaled": (
        "alter table journal rename column detail to details",
        "alter table journal rename column details to detail",
    ),
}


@pytest.mark.parametrize("broken", BROKEN)
async def test_a_broken_schema_is_waited_for(settings: Settings, topics: list[str], broken: str) -> None:
    settings = settings.model_copy(update={"http_address": f"{HOST}:{free_port()}"})
    harm, mend = BROKEN[broken]
    async with _administering(settings) as server, line(settings) as outside:
        async with working(settings):
            await outside.ask("user.register", {"user_id": "a"})
        await server.execute(MANY_USERS)
        await server.execute(harm)
        sent = [await outside.send("user.register", {"user_id": f"u{n}"}, partition=n) for n in range(3)]
        async with working(settings):
            await _unready(settings, "refuses harmless commands too")
            await server.execute(mend)
            assert [(await outside.outcome(command)).type for command in sent] == ["membership.changed"] * 3


async def test_not_even_the_rejection_is_taken(settings: Settings, topics: list[str]) -> None:
    """What the command says can't be stored anywhere: its rejection has nothing of it but its place."""
    async with _administering(settings) as server, line(settings) as outside:
        condition = {"condition": "new.command_id = 'cursed'", "code": "'22021'"}
        await server.execute(OBSTRUCT.format(table="journal", **condition))
        await outside.send("user.register", {"user_id": "a"}, id="cursed", partition=0)
        sent = await outside.send("user.register", {"user_id": "b"}, partition=0)
        async with working(settings):
            await outside.outcome(sent)
            (said,) = [one for one in outside.said if one.type == "command.rejected"]
    assert (said.data["code"], said.data["partition"], said.data["offset"]) == ("failed", 0, 0)
    assert (said.key, said.cause, said.data["record"]) == (None, None, None)


async def test_a_trigger_that_also_minds_our_own_names(settings: Settings, topics: list[str]) -> None:
    """Others of the batch speak for the database: they go through, so the one that does not is to blame."""
    async with _administering(settings) as server, line(settings) as outside:
        await server.execute("alter table users add constraint form check (user_id ~ '^[0-9]+$')")
        names = ["1", "2", "x", "3"]
        sent = [await outside.send("user.register", {"user_id": name}, partition=0) for name in names]
        async with working(settings):
            kinds = [(await outside.outcome(command)).type for command in sent]
    assert kinds == ["membership.changed", "membership.changed", "command.rejected", "membership.changed"]


async def test_names_of_the_form_that_the_database_wants(settings: Settings, topics: list[str]) -> None:
    """It minds our own names, and a command is alone: names like those that it took speak for it."""
    async with _administering(settings) as server, line(settings) as outside, working(settings):
        await outside.ask("user.register", {"user_id": "1001"})
        await server.execute("alter table users add constraint form check (user_id ~ '^[0-9]{4}$')")
        rejected = await outside.ask("user.register", {"user_id": "x"})
        assert (rejected.type, rejected.data["code"]) == ("command.rejected", "failed")
        assert (await outside.ask("user.register", {"user_id": "1002"})).type == "membership.changed"
    assert len(await rows(settings, "select from users")) == 2


async def _unready(settings: Settings, words: str) -> None:
    """Wait until /readyz says why nothing gets on."""
    async with asyncio.timeout(60), aiohttp.ClientSession() as client:
        while True:
            with contextlib.suppress(aiohttp.ClientError):  # it may not listen yet
                async with client.get(f"http://{settings.http_address}/readyz") as answer:
                    if words in await answer.text():
                        assert answer.status == 503
                        return
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def _administering(settings: Settings) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    try:
        yield connection
    finally:
        await connection.close()
