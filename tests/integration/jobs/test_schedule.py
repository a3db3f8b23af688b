"""What is due, where the database refuses one command, or all of them, and where two leaders meet."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from schemas.producer import Place
from schemas.topics import Topic
from tests.integration.jobs.meeting import Meeting
from tests.model.strategies import START, Sent
from tests.model.world import World
from worker.errors import WorkerError
from worker.line import due as deciding
from worker.line.batch import Batch
from worker.line.control import Control
from worker.line.due import Due
from worker.line.handlers import begin
from worker.settings import Settings

USERS = [f"user-{number}" for number in range(20)]
AT = START + timedelta(seconds=30)
TURNS_MAX = 200
POISONED = """
create function poison() returns trigger language plpgsql as $$
begin
    if exists (select from users where user_key = new.user_key and user_id in ('user-7', 'user-13')) then
        raise exception 'not this one';
    end if;
    return new;
end $$;
create trigger poison before insert on memberships for each row execute function poison();
"""


@pytest.fixture
async def waiting(settings: Settings) -> AsyncIterator[Meeting]:
    """A membership for each of twenty users, all of the same instant, which has come."""
    sql = await asyncpg.connect(settings.database_url.get_secret_value())
    async with World(settings) as world:
        made = Meeting(world, sql)
        await made.send(
            Sent("s", "segment.create", {"segment": "s"}),
            *[Sent(f"know {user}", "user.register", {"user_id": user}) for user in USERS],
        )
        await made.send(*[_change(user) for user in USERS])
        world.now = AT
        await made.events()
        yield made
    await sql.close()


def _change(user: str) -> Sent:
    return Sent(user, "membership.change", {"user_id": user, "add": [("s", None)]}, at=AT)


def _due(world: World) -> Due:
    return Due(world.settings, clock=lambda: world.now, new_uuid=uuid4)


async def _all(meeting: Meeting, due: Due, rows: int = 100) -> int:
    turns = 0
    while await due.turn(meeting.world.looking, rows) is not None:
        turns += 1
        assert turns < TURNS_MAX
    return turns


async def _outcomes(meeting: Meeting) -> Counter[str]:
    """How many of each kind there were; each command has one."""
    events = [event for event in await meeting.events() if event["causation"] in USERS]
    assert len({event["causation"] for event in events}) == len(events)
    return Counter(event["data"].get("code") or event["type"] for event in events)


async def _left(meeting: Meeting) -> Any:
    return await meeting.sql.fetchval("select count(*) from schedule")


async def test_those_that_fail_are_found_by_halving_and_stop_no_other(waiting: Meeting) -> None:
    await waiting.sql.execute(POISONED)
    turns = await _all(waiting, _due(waiting.world))
    assert turns < 40
    assert await _outcomes(waiting) == {"membership.changed": len(USERS) - 2, "failed": 2}
    assert await _left(waiting) == 0
    codes = await waiting.sql.fetch("select code from inbox where code is not null")
    assert [row["code"] for row in codes] == ["failed", "failed"], "their names are remembered with it"


async def test_where_the_database_refuses_everything_nothing_is_rejected(waiting: Meeting) -> None:
    await waiting.sql.execute("alter table memberships rename to elsewhere")
    due, faults = _due(waiting.world), 0
    for _ in range(20):
        try:
            await due.turn(waiting.world.looking, 100)
        except WorkerError:
            faults += 1
    assert faults > 10
    rejected = await waiting.sql.fetchval("select count(*) from journal where type = 'command.rejected'")
    assert (rejected, await _left(waiting)) == (0, len(USERS))
    await waiting.sql.execute("alter table elsewhere rename to memberships")
    await _all(waiting, due)
    assert await _outcomes(waiting) == {"membership.changed": len(USERS)}


async def test_two_leaders_at_once(waiting: Meeting) -> None:
    """The second waits for the first one's rows, finds them gone, and looks again."""
    first, second = waiting.world.leading
    dues = [_due(waiting.world) for _ in range(2)]
    await waiting.of(lambda: dues[0].turn(first, 15), lambda: dues[1].turn(second, 15))
    assert await _left(waiting) == len(USERS) - 15
    await _all(waiting, dues[1])
    assert await _outcomes(waiting) == {"membership.changed": len(USERS)}


@pytest.mark.parametrize("is_job_first", [True, False])
async def test_who_is_forgotten_while_commands_are_decided(waiting: Meeting, is_job_first: bool) -> None:
    """They are decided before it, or rejected after it; and what is far ahead is rejected in any case."""
    world = waiting.world
    far = Sent("far", "membership.change", {"user_id": "user-3", "add": [("s", None)]}, at=AT + timedelta(days=9))
    await waiting.send(far)
    due = _due(world)
    sides = [
        lambda: due.turn(world.looking, 100),
        lambda: waiting.send(Sent("f", "user.forget", {"user_id": "user-3"}), lane=1),
    ]
    await waiting.of(*(sides if is_job_first else reversed(sides)))
    await _all(waiting, due)
    rejected = await waiting.sql.fetch("select command_id from journal where type = 'command.rejected' order by 1")
    assert [row["command_id"] for row in rejected] == (["far"] if is_job_first else ["far", "user-3"])
    assert await waiting.sql.fetchval("select count(*) from schedule_forgotten") == await _left(waiting) == 0
    assert "user-3" not in {row["user_id"] for row in await waiting.sql.fetch("select user_id from users")}


async def test_a_forgotten_user_is_named_no_longer_where_nothing_is_left(waiting: Meeting) -> None:
    """Not even where the last of the user's commands was taken back before it was rejected."""
    change = Sent("far", "membership.change", {"user_id": "user-3", "add": [("s", None)]}, at=AT + timedelta(days=9))
    place = Place(Topic.MEMBERSHIP_COMMANDS, b"user-3")
    await _all(waiting, _due(waiting.world))
    await waiting.send(change, Sent("f", "user.forget", {"user_id": "user-3"}))
    await waiting.send(
        Sent("c", "schedule.cancel", {"command_id": "far", "command_source": "/story"}, place=place), change
    )
    assert await _all(waiting, _due(waiting.world)) == 1
    assert await waiting.sql.fetchval("select count(*) from schedule_forgotten") == await _left(waiting) == 0


async def test_a_commit_has_an_outcome_where_its_list_is_cancelled(waiting: Meeting) -> None:
    """It was put off, and its list is being applied; what is rejected is the record that was sent."""
    world = waiting.world
    commit = Sent("commit", "import.commit", {"import": "i"}, at=AT + timedelta(seconds=1))
    await waiting.send(
        Sent("begin", "import.begin", {"import": "i", "segment": "s", "mode": "add"}),
        Sent("list", "import.users", {"import": "i", "user_ids": USERS}),
        commit,
    )
    waiting.passes(1)
    await _all(waiting, _due(world))
    await waiting.send(Sent("cancel", "import.cancel", {"import": "i"}))
    row = await waiting.sql.fetchrow(
        "select command_source, record_key, detail::text from journal where type = 'command.rejected'"
        " and command_id = 'commit'"
    )
    assert row is not None
    detail = json.loads(row["detail"])
    assert (row["command_source"], row["record_key"]) == ("/story", b"i")
    assert (detail["code"], detail["command_type"]) == ("import_closed", "segmentation.import.commit.v1")
    topic = f"{world.settings.topic_prefix}.{Topic.IMPORT_COMMANDS}"
    partition = next(number for number in range(2) if world.offsets[topic, number] == 4)
    assert (detail["topic"], detail["partition"], detail["offset"]) == (topic, partition, 2)
    assert await waiting.sql.fetchval("select code from inbox where code is not null") == "import_closed"


async def test_what_another_version_has_kept_is_rejected_and_holds_nothing_up(waiting: Meeting) -> None:
    await waiting.sql.execute(
        "update schedule set data = '{\"user_id\": 1, \"colour\": 2}' where command_id = 'user-3'"
    )
    await _all(waiting, _due(waiting.world))
    assert await _outcomes(waiting) == {"membership.changed": len(USERS) - 1, "failed": 1}


async def test_a_turn_is_bounded(waiting: Meeting, monkeypatch: pytest.MonkeyPatch) -> None:
    """In commands, in segments, and in bytes; one command goes in any case."""
    due, session = _due(waiting.world), waiting.world.looking
    assert await due.turn(session, 3) == 3
    with monkeypatch.context() as patched:
        patched.setattr(deciding, "SEGMENTS_MAX", 2)
        assert await due.turn(session, 100) == 2
    with monkeypatch.context() as patched:
        patched.setattr(deciding, "BYTES_MAX", 1)
        assert await due.turn(session, 100) == 1
    assert await due.turn(session, 100) == len(USERS) - 6
    assert await due.turn(session, 100) is None


async def test_names_are_remembered_from_their_instants_on(waiting: Meeting) -> None:
    """However old they are when that comes."""
    await waiting.send(Sent("far", "user.forget", {"user_id": "u"}, at=START + timedelta(days=400)))
    waiting.passes(86_400 * 399)
    await waiting.world.retain()
    await waiting.send(Sent("far", "user.forget", {"user_id": "u"}, at=START + timedelta(days=400)))
    names = await waiting.sql.fetchval("select count(*) from inbox join schedule using (name) where command_id = 'far'")
    assert (names, await _left(waiting)) == (1, len(USERS) + 1)


async def test_harmless_commands_are_put_off_too(waiting: Meeting) -> None:
    """Where a command that takes effect later, or takes one back, is suspected: the table itself may be lost."""
    later, cancelling = (
        _change("user-1"),
        Sent(
            "c",
            "schedule.cancel",
            {"command_id": "1", "command_source": "/s"},
            place=Place(Topic.SEGMENT_COMMANDS, b"s"),
        ),
    )
    world = waiting.world
    batches = [Batch((world.received(one)[1],), ()) for one in (later, cancelling)]
    control = Control(
        world.looking, lambda: world.now, lambda now: begin(world.looking, world.settings, now, uuid4), uuid4
    )
    assert [await control.goes_through(batch, batch) for batch in batches] == [True, True]
    await waiting.sql.execute("alter table schedule rename to elsewhere")
    assert [await control.goes_through(batch, batch) for batch in batches] == [False, False]
