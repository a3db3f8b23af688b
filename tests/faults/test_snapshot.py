"""The relay is killed while it writes a snapshot: the next one goes on, a moment before where that one stopped."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from tests.support.events import execute, rows
from tests.support.line import line
from tests.support.states import latest, told
from tests.support.workers import workers
from worker.kafka import topics as kafka_topics
from worker.settings import Settings

FILL = """
insert into segments (segment, segment_id, salt, created_at, updated_at)
values ('beta', gen_random_uuid(), gen_random_uuid(), now(), now());
insert into users (user_id, registered_at) select 'user-' || n, now() from generate_series(1, {users}) n;
insert into memberships (user_key, segment_key, included, origin, since)
select user_key, segment_key, true, 'command', now() from users, segments
"""
PROGRESS = "select coalesce(max(users), 0) as users, count(finished_at) > 0 as is_done from state_snapshots"


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("users", "kills"), [(40_000, 1), pytest.param(300_000, 8, marks=pytest.mark.slow)])
async def test_a_snapshot_survives_kills(
    settings: Settings, topics: list[str], tmp_path: Path, users: int, kills: int
) -> None:
    settings = settings.model_copy(update={"session_seconds_max": 6, "state_topic": "on"})
    await kafka_topics.ensure(settings)
    await execute(settings, FILL.format(users=users))
    async with workers(settings, 2, tmp_path) as both, line(settings) as outside:
        for worker in both:
            await worker.start()
        for number in range(1, kills + 1):
            await _reached(settings, users * number // (kills + 1))
            for worker in both:  # one of them is the relay; the other would go on too soon to be killed in turn
                await worker.kill()
                await worker.start()
        change = {"user_id": "user-1", "remove": ["beta"]}
        changed = await outside.ask("membership.change", change)
        await _reached(settings, users + 1)
    records = await told(settings)
    times = Counter(record.user for record in records)
    assert max(times.values()) <= 1 + kills + 1, "at most again for each kill, and the one that has changed"
    assert kills == 1 or len(records) < users * kills / 2, "each time from its beginning"
    assert {user for user, record in latest(records).items() if record.state and record.names} == {
        f"user-{number}" for number in range(2, users + 1)
    }
    mine = latest(records)["user-1"]
    assert (mine.names, mine.sequence) == ([], int(changed.event["sequence"]))


async def _reached(settings: Settings, users: int) -> None:
    """Wait until a snapshot has written so many, or is at its end."""
    async with asyncio.timeout(300):
        while True:
            (row,) = await rows(settings, PROGRESS)
            if row["users"] >= users or row["is_done"]:
                return
            await asyncio.sleep(0.02)
