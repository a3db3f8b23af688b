"""A job and a command, or two jobs, meet over the same user, on connections of their own, in both orders."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.integration.jobs.meeting import Meeting, Said, Side, of_user
from tests.model.naive import Event
from tests.model.strategies import Sent

DOWN = Sent("down", "segment.update", {"segment": "s", "percent": Decimal(0)})
both_orders = pytest.mark.parametrize("is_job_first", [True, False])


async def _meet(meeting: Meeting, job: Side, other: Sent | Side, *, is_job_first: bool) -> list[Event]:
    """The job and the other meet; then every job goes on to its end."""
    side: Side = (lambda: meeting.send(other)) if isinstance(other, Sent) else other
    await (meeting.of(job, side) if is_job_first else meeting.of(side, job))
    await meeting.roll_out()
    await meeting.world.expire()
    await meeting.world.sweep()
    return await meeting.events()


def change(**data: Any) -> Sent:
    return Sent("x", "membership.change", {"user_id": "u1"} | data)


def forget() -> Sent:
    return Sent("x", "user.forget", {"user_id": "u1"})


def delete() -> Sent:
    return Sent("x", "segment.delete", {"segment": "s"})


# a rollout on its way up


@both_orders
async def test_removed_stays_out(meeting: Meeting, is_job_first: bool) -> None:
    await _meet(meeting, meeting.roll_out, change(remove=["s"]), is_job_first=is_job_first)
    assert await meeting.members() == {"u1": (False, "command"), "u2": (True, "rollout"), "u3": (True, "rollout")}


@both_orders
async def test_added_is_the_commands(meeting: Meeting, is_job_first: bool) -> None:
    events = await _meet(meeting, meeting.roll_out, change(add=[("s", None)]), is_job_first=is_job_first)
    assert (await meeting.members())["u1"] == (True, "command")
    assert sum(bool(entered) for _, entered, _, _ in of_user(events, "u1")) == 1


@both_orders
async def test_registered_enters_once(meeting: Meeting, is_job_first: bool) -> None:
    command = Sent("x", "user.register", {"user_id": "new"})
    events = await _meet(meeting, meeting.roll_out, command, is_job_first=is_job_first)
    assert (await meeting.members())["new"] == (True, "rollout")
    assert of_user(events, "new") == [("user_registered", ["s"], [], [])]


@both_orders
async def test_forgotten_is_gone(meeting: Meeting, is_job_first: bool) -> None:
    await _meet(meeting, meeting.roll_out, forget(), is_job_first=is_job_first)
    assert set(await meeting.members()) == {"u2", "u3"}
    assert await meeting.sql.fetchval("select count(*) from memberships") == 2


@both_orders
async def test_deleted_has_no_members(meeting: Meeting, is_job_first: bool) -> None:
    await _meet(meeting, meeting.roll_out, delete(), is_job_first=is_job_first)
    assert await meeting.sql.fetchval("select count(*) from memberships") == 0
    assert await meeting.sql.fetchval("select count(*) from rollouts") == 0


@both_orders
async def test_a_new_percent_is_the_last_word(meeting: Meeting, is_job_first: bool) -> None:
    await _meet(meeting, meeting.roll_out, DOWN, is_job_first=is_job_first)
    assert await meeting.members() == {}


@both_orders
async def test_what_is_over_goes_on(meeting: Meeting, is_job_first: bool) -> None:
    """Rollout and expiry meet over a membership by command whose time is over: no exit either way."""
    await _over(meeting)
    events = await _meet(meeting, meeting.roll_out, _expiry(meeting), is_job_first=is_job_first)
    assert (await meeting.members())["u1"] == (True, "rollout")
    assert [change for change in of_user(events, "u1") if change[2]] == []
    assert of_user(events, "u1")[-1] == ("expiry", [], [], ["s"])


async def test_two_leaders_take_different_users(meeting: Meeting) -> None:
    """Each two at most: the second waits for the first, and goes on where that has stopped."""
    leaders = [meeting.world.jobs()[0] for _ in range(2)]
    turns: list[Side] = [
        lambda: leaders[0].turn(meeting.world.sessions[0]),
        lambda: leaders[1].turn(meeting.world.sessions[1]),
    ]
    await meeting.of(*turns)
    assert set(await meeting.members()) == {"u1", "u2", "u3"}


# … and down


@pytest.fixture
async def releasing(meeting: Meeting) -> Meeting:
    """All three are in, and are to be released."""
    await meeting.roll_out()
    await meeting.send(DOWN)
    return meeting


@both_orders
async def test_released_or_removed_once(releasing: Meeting, is_job_first: bool) -> None:
    events = await _meet(releasing, releasing.roll_out, change(remove=["s"]), is_job_first=is_job_first)
    assert await releasing.members() == {"u1": (False, "command")}
    assert sum(bool(exited) for _, _, exited, _ in of_user(events, "u1")) == 1


@both_orders
async def test_added_is_not_released(releasing: Meeting, is_job_first: bool) -> None:
    """Added first it stays, without an exit; released first it enters again."""
    events = await _meet(releasing, releasing.roll_out, change(add=[("s", None)]), is_job_first=is_job_first)
    assert await releasing.members() == {"u1": (True, "command")}
    left: list[Said] = [("rollout", [], ["s"], []), ("command", ["s"], [], [])]
    assert of_user(events, "u1")[2:] == (left if is_job_first else [("command", [], [], [])])


@both_orders
async def test_registered_is_not_released(releasing: Meeting, is_job_first: bool) -> None:
    command = Sent("x", "user.register", {"user_id": "new"})
    events = await _meet(releasing, releasing.roll_out, command, is_job_first=is_job_first)
    assert await releasing.members() == {}
    assert of_user(events, "new") == [("user_registered", [], [], [])]


@both_orders
async def test_released_or_forgotten_once(releasing: Meeting, is_job_first: bool) -> None:
    events = await _meet(releasing, releasing.roll_out, forget(), is_job_first=is_job_first)
    assert await releasing.members() == {}
    assert sum(bool(exited) for _, _, exited, _ in of_user(events, "u1")) == 1


@both_orders
async def test_released_or_deleted_once(releasing: Meeting, is_job_first: bool) -> None:
    events = await _meet(releasing, releasing.roll_out, delete(), is_job_first=is_job_first)
    assert await releasing.sql.fetchval("select count(*) from memberships") == 0
    reason = "rollout" if is_job_first else "segment_deleted"
    assert of_user(events, "u1")[2:] == [(reason, [], ["s"], [])]


@both_orders
async def test_released_or_over_once(releasing: Meeting, is_job_first: bool) -> None:
    """A rollout down and the expiry of what a command has added meet: the command's ends by its time, once."""
    await _over(releasing)
    events = await _meet(releasing, releasing.roll_out, _expiry(releasing), is_job_first=is_job_first)
    assert await releasing.members() == {}
    assert of_user(events, "u1")[-1] == ("expiry", [], ["s"], [])
    assert sum(bool(exited) for _, _, exited, _ in of_user(events, "u1")) == 1


# expiry


@pytest.fixture
async def over(releasing: Meeting) -> Meeting:
    """No rollout; u1 is in by a command, and its time is over."""
    await releasing.roll_out()
    await _over(releasing)
    return releasing


def _expiry(meeting: Meeting, session: int = 1) -> Side:
    """A turn over a session of its own."""
    return lambda: meeting.world.expiry.turn(meeting.world.sessions[session])


async def _over(meeting: Meeting) -> None:
    await meeting.change("u1", add=[("s", meeting.world.now.replace(year=2027))])
    meeting.world.now = meeting.world.now.replace(year=2028)


@both_orders
@pytest.mark.parametrize("until", [None, 2029])
async def test_added_again_stays(over: Meeting, is_job_first: bool, until: int | None) -> None:
    """The exit is told once, by whoever was first; then the entry, which the expiry leaves alone."""
    added = change(add=[("s", until and over.world.now.replace(year=until))])
    events = await _meet(over, _expiry(over), added, is_job_first=is_job_first)
    assert await over.members() == {"u1": (True, "command")}
    assert of_user(events, "u1")[-2:] == [("expiry", [], ["s"], []), ("command", ["s"], [], [])]


@both_orders
async def test_expired_or_removed_once(over: Meeting, is_job_first: bool) -> None:
    events = await _meet(over, _expiry(over), change(remove=["s"]), is_job_first=is_job_first)
    assert await over.members() == {"u1": (False, "command")}
    assert of_user(events, "u1")[-2:] == [("expiry", [], ["s"], []), ("command", [], [], [])]


@both_orders
async def test_expired_or_forgotten_once(over: Meeting, is_job_first: bool) -> None:
    events = await _meet(over, _expiry(over), forget(), is_job_first=is_job_first)
    assert await over.sql.fetchval("select count(*) from memberships") == 0
    assert of_user(events, "u1")[-2:] == [("expiry", [], ["s"], []), ("user_forgotten", [], [], [])]


@both_orders
async def test_expired_or_deleted_once(over: Meeting, is_job_first: bool) -> None:
    events = await _meet(over, _expiry(over), delete(), is_job_first=is_job_first)
    assert await over.sql.fetchval("select count(*) from memberships") == 0
    assert of_user(events, "u1")[-1] == ("expiry", [], ["s"], [])
    assert [event["data"]["exited"] for event in events if event["type"] == "segment.populated"][-1] == 0


@both_orders
async def test_a_percent_that_comes_beside_an_expiry(over: Meeting, is_job_first: bool) -> None:
    """Expired first it enters anew by the rollout; else it goes on."""
    command = Sent("x", "segment.update", {"segment": "s", "percent": Decimal(100)})
    events = await _meet(over, _expiry(over), command, is_job_first=is_job_first)
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
    events = await _meet(deleted, _deletion(deleted), change(add=[("s", None)]), is_job_first=is_job_first)
    assert await deleted.members() == {"u1": (True, "command")}
    assert sum(reason == "segment_deleted" for reason, *_ in of_user(events, "u1")) == 1


@both_orders
async def test_deleted_or_forgotten_once(deleted: Meeting, is_job_first: bool) -> None:
    events = await _meet(deleted, _deletion(deleted), forget(), is_job_first=is_job_first)
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
    events = await _meet(meeting, _deletion(meeting), _expiry(meeting, 0), is_job_first=is_job_first)
    assert await meeting.sql.fetchval("select count(*) from memberships") == 0
    assert of_user(events, "u1")[-1] == ("segment_deleted", [], ["s"], [])
    assert [event["data"]["exited"] for event in events if event["type"] == "segment.populated"][-1] == 1


# commands in another lane that decide who is where


@both_orders
async def test_nobody_enters_what_is_deleted(meeting: Meeting, is_job_first: bool) -> None:
    """Added first, the deletion ends it; deleted first, the command is refused."""
    await meeting.roll_out()
    await meeting.send(Sent("u", "user.register", {"user_id": "new"}))
    await meeting.change("new", remove=["s"])
    command = Sent("x", "membership.change", {"user_id": "new", "add": [("s", None)]})
    deletion = Sent("d", "segment.delete", {"segment": "s"})
    events = await _meet(meeting, lambda: meeting.send(deletion, lane=1), command, is_job_first=is_job_first)
    assert await meeting.sql.fetchval("select count(*) from memberships") == 0
    rejected = [event["data"]["code"] for event in events if event["type"] == "command.rejected"]
    assert rejected == (["segment_not_found"] if is_job_first else [])


@both_orders
async def test_who_registers_beside_a_new_percent_is_decided_by_it(meeting: Meeting, is_job_first: bool) -> None:
    """Known by then, or decided when registered: once."""
    await meeting.roll_out()
    await meeting.send(DOWN)
    await meeting.roll_out()
    update = Sent("up", "segment.update", {"segment": "s", "percent": Decimal(100)})
    register = Sent("x", "user.register", {"user_id": "new"})
    events = await _meet(meeting, lambda: meeting.send(update, lane=1), register, is_job_first=is_job_first)
    assert (await meeting.members())["new"] == (True, "rollout")
    assert sum(bool(entered) for _, entered, _, _ in of_user(events, "new")) == 1
