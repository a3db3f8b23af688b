"""Snapshots of all states, when the topic is switched on and when somebody asks: then it is true, whatever was."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from schemas.topics import Topic, topic_name
from tests.support.events import execute, rows
from tests.support.line import Line, line, working
from tests.support.states import Told, latest, told
from tests.support.topics import created_again
from worker.errors import Unavailable
from worker.journal import snapshot
from worker.journal.cursor import Cursor, Place, last_cursor
from worker.journal.state import States
from worker.kafka import topics as kafka_topics
from worker.settings import Settings

USERS = [f"user-{number}" for number in range(7)]
STATE = """
select u.user_id, array_remove(array_agg(a.segment order by a.segment), null) as segments
from users u left join active_memberships a using (user_id) group by u.user_id
"""
FILL = """
insert into segments (segment, segment_id, salt, created_at, updated_at)
values ('beta', gen_random_uuid(), gen_random_uuid(), now(), now());
insert into users (user_id, registered_at) select 'user-' || n, now() from generate_series(1, 40) n;
insert into memberships (user_key, segment_key, included, origin, since)
select user_key, segment_key, true, 'command', now() from users, segments
"""


@pytest.fixture
def on(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """With the topic, and two users in a chunk."""
    monkeypatch.setattr(snapshot, "USERS_MAX", 2)
    monkeypatch.setattr(snapshot, "LOOK_SECONDS", 0.0)
    return settings.model_copy(update={"state_topic": "on"})


@pytest.fixture
async def topics(on: Settings, topics: list[str]) -> list[str]:
    """Those of the deployment, and the states'."""
    return topics + await kafka_topics.ensure(on)


async def test_off_and_on_again(on: Settings, settings: Settings, topics: list[str]) -> None:
    """Who was in a segment before has a state; who left or was forgotten while it was off has none any more."""
    async with line(settings) as outside:
        async with working(settings):
            await outside.ask("segment.create", {"segment": "beta"})
            for user in USERS:
                await outside.ask("user.register", {"user_id": user})
            for user in USERS[:5]:
                await _change(outside, user, add=["beta"])
        async with working(on):
            await _is_true(on, 1)
            assert latest(await told(on)).keys() == {*USERS[:5]}, "users in no segment need none"
            await _change(outside, USERS[5], add=["beta"])
            await _change(outside, USERS[2], remove=["beta"])
        async with working(settings):
            await _change(outside, USERS[0], remove=["beta"])
            await _change(outside, USERS[6], add=["beta"])
            for user in USERS[1:3]:  # the second one's state says: in no segment
                await outside.ask("user.forget", {"user_id": user})
            await outside.settled()
        async with working(on):
            records = await _is_true(on, 2)
            assert records[USERS[0]].names == []
            assert [records[user].state for user in USERS[1:3]] == [None, None]
            assert {user for user in USERS if records[user].state and records[user].names} == {*USERS[3:]}


async def test_asked_for(on: Settings, topics: list[str]) -> None:
    """By a person, such as after the topic was lost; and it says how far it is."""
    async with line(on) as outside, working(on):
        await outside.ask("segment.create", {"segment": "beta"})
        for user in USERS:
            await outside.ask("user.register", {"user_id": user})
            await _change(outside, user, add=["beta"])
        await _is_true(on, 1)
    await created_again(on, topic_name(on.topic_prefix, Topic.MEMBERSHIPS))
    async with line(on), working(on):
        await execute(on, "insert into state_snapshots (snapshot) select max(snapshot) + 1 from state_snapshots")
        records = await _is_true(on, 2)
    assert records.keys() == {*USERS}
    place = Place(2, "done", 7, len(USERS))
    assert (await last_cursor(on, topic_name(on.topic_prefix, Topic.RELAY_POSITIONS)) or Cursor()).place == place
    (row,) = await rows(on, "select users, finished_at is not null as is_done from state_snapshots where snapshot = 2")
    assert row == {"users": len(USERS), "is_done": True}


async def test_it_goes_on_where_it_was(on: Settings, topics: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A relay that fails in the middle has left its place in Kafka: the next one goes on where all is settled."""
    await execute(on, FILL)
    chunks, after = [], snapshot.Snapshot.after

    async def failing(self: snapshot.Snapshot, place: Place | None, *others: Any) -> Any:
        chunks.append(place)
        if len(chunks) in (6, 12):
            raise Unavailable("the session has ended")
        return await after(self, place, *others)

    monkeypatch.setattr(snapshot.Snapshot, "after", failing)
    async with working(on):
        await _is_true(on, 1)
    users = [record.user for record in await told(on)]
    assert len(chunks) > 20
    times = Counter(users)
    assert len(times) == 40
    assert max(times.values()) <= 3, "more than once for each relay that failed"


async def test_a_state_that_can_not_be_made(on: Settings, topics: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """By a mistake of the worker: the snapshot rests and is tried again, and events are published meanwhile."""
    monkeypatch.setattr(snapshot, "MISTAKE_SECONDS", 0.1)
    await execute(on, FILL)
    value, tries = States._value, 0

    def failing(self: States, user: str, *others: Any) -> bytes | None:
        nonlocal tries
        if user == "user-30":
            tries += 1
            if tries < 3:
                raise KeyError("segment")
        return value(self, user, *others)

    monkeypatch.setattr(States, "_value", failing)
    async with line(on) as outside, working(on):
        await outside.ask("user.register", {"user_id": "meanwhile"})
        records = await _is_true(on, 1)
    assert tries == 3
    assert len(records) == 41


async def _change(outside: Line, user: str, **data: list[str]) -> None:
    one = await outside.ask("membership.change", {"user_id": user, **data})
    assert one.type == "membership.changed"


async def _is_true(settings: Settings, number: int) -> dict[str, Told]:
    """Wait for the snapshot; then the topic says of everybody what the view says."""
    sql = "select finished_at is not null as is_done from state_snapshots where snapshot = $1"
    async with asyncio.timeout(30):
        while not any(row["is_done"] for row in await rows(settings, sql, number)):
            await asyncio.sleep(0.05)
    records = latest(await told(settings))
    known = {row["user_id"]: row["segments"] for row in await rows(settings, STATE)}
    for user, segments in known.items():
        found = records[user].names if user in records else []
        assert sorted(found) == segments, user
    assert not {user for user, record in records.items() if record.state is not None} - known.keys()
    return records
