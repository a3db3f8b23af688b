"""Expiry and deletion meet a command, or each other, over the same user, in both orders."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.integration.jobs.meeting import (
    DOWN,
    Meeting,
    Said,
    Side,
    both_orders,
    change,
    delete,
    expiry,
    forget,
    meet,
    of_user,
)
from tests.model.strategies import Sent

# expiry


@both_orders
@pytest.mark.parametrize("until", [None, 2029])
async def test_added_again_stays(over: Meeting, is_job_first: bool, until: int | None) -> None:
    """The exit is told once, by whoever was first; then the entry, which the expiry leaves alone."""
    added = change(add=[("s", until and over.world.now.replace(year=until))])
    events = await meet(over, expiry(over), added, is_job_first=is_job_first)
    assert await over.members() == {"u1": (True, "command")}
    assert of_user(events, "u1")[-2:] == [("expiry", [], ["s"], []), ("command", ["s"], [], [])]


@both_orders
async def test_expired_or_removed_once(over: Meeting, is_job_first: bool) -> None:
    events = await meet(over, expiry(over), change(remove=["s"]), is_job_first=is_job_first)
    assert await over.members() == {"u1": (False, "command")}
    assert of_user(events, "u1")[-2:] == [("expiry", [], ["s"], []), ("command", [], [], [])]


@both_orders
async def test_expired_or_forgotten_once(over: Meeting, is_job_first: bool) -> None:
    events = await meet(over, expiry(over), forget(), is_job_first=is_job_first)
    assert await over.sql.fetchval("select count(*) from memberships") == 0
    assert of_user(events, "u1")[-2:] == [("expiry", [], ["s"], []), ("user_forgotten", [], [], [])]


@both_orders
async def test_expired_or_deleted_once(over: Meeting, is_job_first: bool) -> None:
    events = await meet(over, expiry(over), delete(), is_job_first=is_job_first)
    assert await over.sql.fetchval("select count(*) from memberships") == 0
    assert of_user(events, "u1")[-1] == ("expiry", [], ["s"], [])
    assert [event["data"]["exited"] for event in events if event["type"] == "segment.populated"][-1] == 0


@both_orders
async def test_a_percent_that_comes_beside_anexpiry(over: Meeting, is_job_first: bool) -> None:
    """Expired first it enters anew by the rollout; else it goes on."""
    command = Sent("x", "segment.update", {"segment": "s", "percent": Decimal(100)})
    events = await meet(over, expiry(over), command, is_job_first=is_job_first)
    assert set((await over.members()).values()) == {(True, "rollout")}
    anew: list[Said] = [("expiry", [], ["s"], []), ("rollout", ["s"], [], [])]
    assert of_user(events, "u1")[4:] == (anew if is_job_first else [("expiry", [], [], ["s"])])


# deletion


@pytest.fixture
async def deleted(meeting: Meeting) -> Meeting:
    """All three are in a segment that is deleted, whose name has another generation."""
    await meeting.roll_out()
    await meeting.send(Sent("3", "segment.delete", {"segment": "s"}))
    await meeting.send(Sent("4", "segment.create", {"segment": "s"}))
    return meeting


def _deletion(meeting: Meeting) -> Side:
    return lambda: meeting.world.deletion.turn(meeting.world.sessions[1])


@both_orders
async def test_a_member_of_the_next_generation_stays(deleted: Meeting, is_job_first: bool) -> None:
    events = await meet(deleted, _deletion(deleted), change(add=[("s", None)]), is_job_first=is_job_first)
    assert await deleted.members() == {"u1": (True, "command")}
    assert sum(reason == "segment_deleted" for reason, *_ in of_user(events, "u1")) == 1


@both_orders
async def test_deleted_or_forgotten_once(deleted: Meeting, is_job_first: bool) -> None:
    events = await meet(deleted, _deletion(deleted), forget(), is_job_first=is_job_first)
    assert await deleted.sql.fetchval("select count(*) from memberships") == 0
    assert sum(bool(exited) for _, _, exited, _ in of_user(events, "u1")) == 1
    assert of_user(events, "u1")[-1][0] == "user_forgotten"
    assert [event["data"]["exited"] for event in events if event["type"] == "segment.populated"][-1] == (
        3 if is_job_first else 2
    )


@both_orders
async def test_deleted_or_over_once(meeting: Meeting, is_job_first: bool) -> None:
    """Its time is over after the segment went: the deletion's, whoever is first."""
    await meeting.roll_out()
    await meeting.send(DOWN)
    await meeting.roll_out()
    await meeting.change("u1", add=[("s", meeting.world.now.replace(year=2027))])
    await meeting.send(Sent("3", "segment.delete", {"segment": "s"}))
    meeting.world.now = meeting.world.now.replace(year=2028)
    events = await meet(meeting, _deletion(meeting), expiry(meeting, 0), is_job_first=is_job_first)
    assert await meeting.sql.fetchval("select count(*) from memberships") == 0
    assert of_user(events, "u1")[-1] == ("segment_deleted", [], ["s"], [])
    assert [event["data"]["exited"] for event in events if event["type"] == "segment.populated"][-1] == 1
