"""Deletion: a segment with many members ends in chunks, each with its events, and says at last how many there were."""

from __future__ import annotations

from datetime import timedelta

from tests.integration.jobs.conftest import Bench
from worker.jobs.deletion import BLOCKS_MIN, Deletion

MEMBERS, MEMBERS_IN_BLOCK_MAX = 20_000, 150


async def members(bench: Bench, key: int, first: int, last: int, **others: object) -> None:
    """Members by command."""
    values = {"included": True, "expires_at": None} | others
    await bench.sql.execute(
        "insert into memberships (user_key, segment_key, included, origin, since, expires_at)"
        " select n, $1, $2, 'command', $3, $4 from generate_series($5::integer, $6::integer) n",
        key,
        values["included"],
        bench.now,
        values["expires_at"],
        first,
        last,
    )


async def delete(bench: Bench, *names: str) -> None:
    await bench.session.fetch("segments_delete", list(names), bench.now)


async def test_in_chunks_that_another_process_goes_on_with(bench: Bench) -> None:
    """Inactive at once, name free at once; a turn takes some blocks, and its progress is stored with it."""
    await bench.users(MEMBERS)
    key, other = await bench.segment("s"), await bench.segment("other")
    await members(bench, key, 1, MEMBERS)
    await members(bench, other, 1, 10)
    await delete(bench, "s")
    again = await bench.segment("s")
    assert await bench.sql.fetchval("select count(*) from active_memberships where segment = 's'") == 0
    ended, turns = 0, 0
    while (more := await Deletion(bench.clock).turn(bench.session)) is not None:
        ended, turns = ended + more, turns + 1
        assert more <= BLOCKS_MIN * MEMBERS_IN_BLOCK_MAX
        left = await bench.sql.fetchval("select count(*) from memberships where segment_key = $1", key)
        assert (
            left,
            await bench.sql.fetchval("select count(*) from journal where exited = array[$1::integer]", key),
        ) == (
            MEMBERS - ended,
            ended,
        )
    assert ended == MEMBERS
    assert turns > 10
    events = await bench.journaled("segment_deleted")
    assert {row["user_id"] for row in events} == {f"user-{n}" for n in range(1, MEMBERS + 1)}
    last = await bench.sql.fetchrow(
        "select type::text, detail ->> 'exited' as exited from journal order by sequence desc"
    )
    assert last is not None
    assert tuple(last) == ("segment.populated", str(MEMBERS))
    assert len(await bench.members(other)) == 10
    assert await bench.members(again) == set()


async def test_who_was_out_already_is_not_told_of(bench: Bench) -> None:
    """Removed by command: no event. Over before the deletion: it was an expiry. Over since: the deletion's."""
    await bench.users(4)
    key = await bench.segment("s")
    await members(bench, key, 1, 1, included=False)
    await members(bench, key, 2, 2, expires_at=bench.now - timedelta(seconds=1))
    await members(bench, key, 3, 3, expires_at=bench.now + timedelta(seconds=1))
    await members(bench, key, 4, 4)
    await delete(bench, "s")
    bench.passes(seconds=5)
    await bench.all_of(Deletion(bench.clock))
    rows = await bench.sql.fetch("select user_id, reason::text from journal where exited is not null order by user_id")
    assert [tuple(row) for row in rows] == [
        ("user-2", "expiry"),
        ("user-3", "segment_deleted"),
        ("user-4", "segment_deleted"),
    ]
    assert await bench.sql.fetchval("select detail ->> 'exited' from journal where type = 'segment.populated'") == "2"


async def test_one_that_comes_later_waits_for_the_next_walk(bench: Bench) -> None:
    await bench.users(MEMBERS)
    first, second = await bench.segment("first"), await bench.segment("second")
    await members(bench, second, 1, 100)
    await members(bench, first, 1, MEMBERS)
    await delete(bench, "first")
    deletion = Deletion(bench.clock)
    for _ in range(3):
        await deletion.turn(bench.session)
    await delete(bench, "second")
    assert await bench.all_of(deletion)
    assert await bench.sql.fetchval("select count(*) from memberships") == 0
    assert await bench.sql.fetchval("select count(*) from journal where type = 'segment.populated'") == 2


async def test_two_leaders_that_began_with_different_segments_leave_none_out(bench: Bench) -> None:
    """The walk goes on where the one that is least far is."""
    await bench.users(MEMBERS)
    late, early = await bench.segment("late"), await bench.segment("early")
    await members(bench, late, 1, 100)
    await members(bench, early, 1, MEMBERS)
    await delete(bench, "early")
    deletion = Deletion(bench.clock)
    for _ in range(3):
        await deletion.turn(bench.session)
    await delete(bench, "late")
    await bench.sql.execute("update deletions set next_block = 0 where segment_key = $1", late)
    await bench.all_of(deletion)
    assert await bench.sql.fetchval("select count(*) from memberships") == 0
