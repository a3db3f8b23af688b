"""What other implementations got wrong about rollouts, expiry and deletion: once each, through commands."""

from __future__ import annotations

import math
from decimal import Decimal

from tests.integration.jobs.conftest import USERS, Bench
from tests.integration.jobs.meeting import Meeting, of_user
from tests.model.strategies import Sent
from worker.jobs.expiry import Expiry
from worker.jobs.rollout import Rollout

MANY, BLOCK, DEVIATIONS = 20_000, 1_000, 4.5


async def test_a_percent_is_that_many_and_no_contiguous_block(bench: Bench) -> None:
    """60 % of the users, and about 60 % of those in each stretch of keys."""
    await bench.users(MANY)
    key = await bench.segment("s", Decimal(60))
    await bench.all_of(Rollout(bench.clock))
    sql = "select (user_key - 1) / $2 as block, count(*) as count from memberships where segment_key = $1 group by 1"
    counts = {row["block"]: row["count"] for row in await bench.sql.fetch(sql, key, BLOCK)}
    assert counts.keys() == set(range(MANY // BLOCK))
    assert _is_likely(sum(counts.values()), MANY)
    assert [count for count in counts.values() if not _is_likely(count, BLOCK)] == []


def _is_likely(count: int, users: int, share: float = 0.6) -> bool:
    return abs(count - users * share) <= DEVIATIONS * math.sqrt(users * share * (1 - share))


async def test_new_users_are_decided_too(meeting: Meeting) -> None:
    """The rollout has long come to its end."""
    await meeting.roll_out()
    await meeting.send(Sent("x", "user.register", {"user_id": "new"}))
    assert (await meeting.members())["new"] == (True, "rollout")
    assert of_user(await meeting.events(), "new") == [("user_registered", ["s"], [], [])]


async def test_removing_a_non_member_leaves_no_history_of_an_exit(meeting: Meeting) -> None:
    await meeting.change("u1", remove=["s"])
    await meeting.change("u1", remove=["s"])
    assert of_user(await meeting.events(), "u1")[1:] == [("command", [], [], [])] * 2
    assert await meeting.sql.fetchval("select count(*) from journal where exited is not null") == 0


async def test_an_expiry_and_a_deletion_leave_history(meeting: Meeting) -> None:
    await meeting.roll_out()
    await meeting.send(Sent("x", "segment.create", {"segment": "t"}))
    await meeting.change("u1", add=[("t", meeting.world.now.replace(year=2027))])
    meeting.world.now = meeting.world.now.replace(year=2028)
    await meeting.world.expire()
    await meeting.send(Sent("y", "segment.delete", {"segment": "s"}))
    await meeting.world.sweep()
    events = await meeting.events()
    assert of_user(events, "u1")[-2:] == [("expiry", [], ["t"], []), ("segment_deleted", [], ["s"], [])]
    assert [of_user(events, user)[-1] for user in USERS] == [("segment_deleted", [], ["s"], [])] * len(USERS)


async def test_an_expired_row_is_no_obstacle(meeting: Meeting) -> None:
    """Before anything has swept it."""
    await _lapsed(meeting)
    await meeting.change("u1", add=[("t", None)])
    assert of_user(await meeting.events(), "u1")[-2:] == [("expiry", [], ["t"], []), ("command", ["t"], [], [])]


async def test_a_removed_user_returns_with_no_evaluation(meeting: Meeting) -> None:
    """Neither the next percent's, nor one after a time at nobody; only a command brings it back."""
    await meeting.roll_out()
    await meeting.change("u1", remove=["s"])
    for number, percent in enumerate((50, 0, 100)):
        await meeting.send(Sent(f"p{number}", "segment.update", {"segment": "s", "percent": Decimal(percent)}))
        await meeting.roll_out()
        assert (await meeting.members())["u1"] == (False, "command")
    await meeting.change("u1", add=[("s", None)])
    assert (await meeting.members())["u1"] == (True, "command")


async def test_an_expiry_is_in_no_process_memory(meeting: Meeting) -> None:
    """Another process, started long after the instant, does it."""
    await _lapsed(meeting)
    await meeting.all_of(Expiry(lambda: meeting.world.now))
    assert of_user(await meeting.events(), "u1")[-1] == ("expiry", [], ["t"], [])


async def test_a_stale_expiry_leaves_those_alone_who_came_again(meeting: Meeting) -> None:
    """Each is due when the job first looks, and is added anew before it looks again."""
    await _lapsed(meeting)
    await meeting.change("u1", add=[("t", meeting.world.now.replace(year=2030))])
    await meeting.change("u2", add=[("t", meeting.world.now.replace(year=2030))])
    await meeting.all_of(Expiry(lambda: meeting.world.now))
    rows = await meeting.sql.fetch("select user_id from active_memberships where segment = 't' order by 1")
    assert [row["user_id"] for row in rows] == ["u1", "u2"]


async def test_a_deleted_name_is_free_while_its_members_are_still_ended(meeting: Meeting) -> None:
    """The next generation has its own members, and the walk takes the old ones alone."""
    await meeting.roll_out()
    await meeting.send(Sent("x", "segment.delete", {"segment": "s"}))
    await meeting.send(Sent("y", "segment.create", {"segment": "s"}))
    assert await meeting.members() == {}
    await meeting.change("u1", add=[("s", None)])
    await meeting.world.sweep()
    assert await meeting.members() == {"u1": (True, "command")}
    assert await meeting.sql.fetchval("select count(*) from memberships") == 1


async def _lapsed(meeting: Meeting) -> None:
    """u1 and u2 were in another segment by command, until a year ago."""
    await meeting.send(Sent("t", "segment.create", {"segment": "t"}))
    for user in ("u1", "u2"):
        await meeting.change(user, add=[("t", meeting.world.now.replace(year=2027))])
    meeting.world.now = meeting.world.now.replace(year=2028)
