"""A user in more segments than one event names, all with names of full length, is forgotten: with a real broker."""

from __future__ import annotations

from tests.support.events import execute, rows
from tests.support.line import line, working
from worker.journal.encode import EVENT_ITEMS_MAX
from worker.kafka.clients import EVENT_BYTES_MAX
from worker.settings import Settings

OMITTED = 1_000
FILL = f"""
with made as (
    insert into segments (segment, segment_id, salt, created_at, updated_at)
    select lpad(n::text, 255, 's'), gen_random_uuid(), gen_random_uuid(), now(), now()
    from generate_series(1, {EVENT_ITEMS_MAX + OMITTED}) n
    returning segment_key
)
insert into memberships (user_key, segment_key, since, origin, included)
select u.user_key, segment_key, now(), 'command', true from made, users u where u.user_id = 'old'
"""


async def test_it_holds_up_nobody(settings: Settings, topics: list[str]) -> None:
    """From the days before there was a limit. Its event says how many segments it leaves out; others' follow."""
    async with line(settings) as outside, working(settings):
        await outside.ask("user.register", {"user_id": "old"})
        await execute(settings, FILL)
        forgotten = await outside.ask("user.forget", {"user_id": "old"})
        other = await outside.ask("user.register", {"user_id": "new"})
    assert forgotten.type == other.type == "membership.changed"
    assert len(forgotten.data["exited"]) == EVENT_ITEMS_MAX
    assert forgotten.data["omitted"] == OMITTED
    assert 10_000_000 < len(str(forgotten.event)) < EVENT_BYTES_MAX
    assert await rows(settings, "select from memberships") == []
