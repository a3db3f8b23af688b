"""A rollout, or a change of structure, meets a command or a job over the same user, in both orders."""

from __future__ import annotations

from decimal import Decimal

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
    lapse,
    meet,
    of_user,
)
from tests.model.strategies import Sent

# a rollout on its way up


@both_orders
async def test_removed_stays_out(meeting: Meeting, is_job_first: bool) -> None:
    await meet(meeting, meeting.roll_out, change(remove=["s"]), is_job_first=is_job_first)
    assert await meeting.members() == {"u1": (False, "command"), "u2": (True, "rollout"), "u3": (True, "rollout")}


@both_orders
async def test_added_is_the_commands(meeting: Meeting, is_job_first: bool) -> None:
    events = await meet(meeting, meeting.roll_out, change(add=[("s", None)]), is_job_first=is_job_first)
    assert (await meeting.members())["u1"] == (True, "command")
    assert sum(bool(entered) for _, entered, _, _ in of_user(events, "u1")) == 1


@both_orders
async def test_registered_enters_once(meeting: Meeting, is_job_first: bool) -> None:
    command = Sent("x", "user.register", {"user_id": "new"})
    events = await meet(meeting, meeting.roll_out, command, is_job_first=is_job_first)
    assert (await meeting.members())["new"] == (True, "rollout")
    assert of_user(events, "new") == [("user_registered", ["s"], [], [])]


@both_orders
async def test_forgotten_is_gone(meeting: Meeting, is_job_first: bool) -> None:
    await meet(meeting, meeting.roll_out, forget(), is_job_first=is_job_first)
    assert set(await meeting.members()) == {"u2", "u3"}
    assert await meeting.sql.fetchval("select count(*) from memberships") == 2


@both_orders
async def test_deleted_has_no_members(meeting: Meeting, is_job_first: bool) -> None:
    await meet(meeting, meeting.roll_out, delete(), is_job_first=is_job_first)
    assert await meeting.sql.fetchval("select count(*) from memberships") == 0
    assert await meeting.sql.fetchval("select count(*) from rollouts") == 0


@both_orders
async def test_a_new_percent_is_the_last_word(meeting: Meeting, is_job_first: bool) -> None:
    await meet(meeting, meeting.roll_out, DOWN, is_job_first=is_job_first)
    assert await meeting.members() == {}


@both_orders
async def test_what_is_over_goes_on(meeting: Meeting, is_job_first: bool) -> None:
    """Rollout and expiry meet over a membership by command whose time is over: no exit either way."""
    await lapse(meeting)
    events = await meet(meeting, meeting.roll_out, expiry(meeting), is_job_first=is_job_first)
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


@both_orders
async def test_released_or_removed_once(releasing: Meeting, is_job_first: bool) -> None:
    events = await meet(releasing, releasing.roll_out, change(remove=["s"]), is_job_first=is_job_first)
    assert await releasing.members() == {"u1": (False, "command")}
    assert sum(bool(exited) for _, _, exited, _ in of_user(events, "u1")) == 1


@both_orders
async def test_added_is_not_released(releasing: Meeting, is_job_first: bool) -> None:
    """Added first it stays, without an exit; released first it enters again."""
    events = await meet(releasing, releasing.roll_out, change(add=[("s", None)]), is_job_first=is_job_first)
    assert await releasing.members() == {"u1": (True, "command")}
    left: list[Said] = [("rollout", [], ["s"], []), ("command", ["s"], [], [])]
    assert of_user(events, "u1")[2:] == (left if is_job_first else [("command", [], [], [])])


@both_orders
async def test_registered_is_not_released(releasing: Meeting, is_job_first: bool) -> None:
    command = Sent("x", "user.register", {"user_id": "new"})
    events = await meet(releasing, releasing.roll_out, command, is_job_first=is_job_first)
    assert await releasing.members() == {}
    assert of_user(events, "new") == [("user_registered", [], [], [])]


@both_orders
async def test_released_or_forgotten_once(releasing: Meeting, is_job_first: bool) -> None:
    events = await meet(releasing, releasing.roll_out, forget(), is_job_first=is_job_first)
    assert await releasing.members() == {}
    assert sum(bool(exited) for _, _, exited, _ in of_user(events, "u1")) == 1


@both_orders
async def test_released_or_deleted_once(releasing: Meeting, is_job_first: bool) -> None:
    events = await meet(releasing, releasing.roll_out, delete(), is_job_first=is_job_first)
    assert await releasing.sql.fetchval("select count(*) from memberships") == 0
    reason = "rollout" if is_job_first else "segment_deleted"
    assert of_user(events, "u1")[2:] == [(reason, [], ["s"], [])]


@both_orders
async def test_released_or_over_once(releasing: Meeting, is_job_first: bool) -> None:
    """A rollout down and the expiry of what a command has added meet: the command's ends by its time, once."""
    await lapse(releasing)
    events = await meet(releasing, releasing.roll_out, expiry(releasing), is_job_first=is_job_first)
    assert await releasing.members() == {}
    assert of_user(events, "u1")[-1] == ("expiry", [], ["s"], [])
    assert sum(bool(exited) for _, _, exited, _ in of_user(events, "u1")) == 1


# commands in another lane that decide who is where


@both_orders
async def test_nobody_enters_what_is_deleted(meeting: Meeting, is_job_first: bool) -> None:
    """Added first, the deletion ends it; deleted first, the command is refused."""
    await meeting.roll_out()
    await meeting.send(Sent("u", "user.register", {"user_id": "new"}))
    await meeting.change("new", remove=["s"])
    command = Sent("x", "membership.change", {"user_id": "new", "add": [("s", None)]})
    deletion = Sent("d", "segment.delete", {"segment": "s"})
    events = await meet(meeting, lambda: meeting.send(deletion, lane=1), command, is_job_first=is_job_first)
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
    events = await meet(meeting, lambda: meeting.send(update, lane=1), register, is_job_first=is_job_first)
    assert (await meeting.members())["new"] == (True, "rollout")
    assert sum(bool(entered) for _, entered, _, _ in of_user(events, "new")) == 1
