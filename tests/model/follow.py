"""The naive model, taken along a journal: commands as it does them itself, jobs as far as they were allowed to go."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import copy, deepcopy
from dataclasses import replace
from datetime import datetime
from typing import Any

from tests.model.compare import ordered
from tests.model.happened import Event
from tests.model.naive import Model
from tests.model.names import Names
from tests.model.rows import Member

Timed = tuple[Event, datetime]
NOTED = ("expiry", "user_registered")
"""Reasons of what a command may have to say before its own event."""


def follow(model: Model, events: Sequence[Timed], commands: Mapping[str, dict[str, Any]]) -> None:
    """Hold the events, in the journal's order, against the model, which is then where they lead to.

    `commands` by their ids; events of unreadable records are left out by the caller.
    """
    noted: dict[str, list[Event]] = {}
    by_jobs: dict[str, list[Event]] = {}
    for number, (event, time) in enumerate(events):
        if event["causation"] is None:
            if _is_noted_by_command(number, events, model, commands):
                noted.setdefault(event["key"], []).append(event)
            else:
                _follow_job(event, model, time)
                if event["type"] == "membership.changed":
                    by_jobs.setdefault(event["key"], []).append(event)
            continue
        command = commands[event["causation"]]
        _count_as_decided(model, command, event, by_jobs.get(event["key"], []))
        expected = model.apply(command, time)
        model.counted.clear()
        actual = [*noted.pop(event["key"], []), event]
        assert list(map(ordered, actual)) == list(map(ordered, expected)), command
    assert not noted


def _count_as_decided(model: Model, command: dict[str, Any], event: Event, by_jobs: Sequence[Event]) -> None:
    """Count the user's segments as the command did, which need not have seen the jobs before it in the journal.

    How many segments a user is in is looked up before the command takes its place in the journal.
    """
    user = event["key"]
    if command["type"] != "membership.change" or event["data"].get("code") == "id_reused":
        return
    is_crowded = event["data"].get("code") == "too_many_segments"
    for job in reversed(by_jobs):
        if model.is_refused_as_crowded(command["data"]) == is_crowded:
            return
        entered, exited = ({item["segment_id"] for item in job["data"][name]} for name in ("entered", "exited"))
        model.counted[user] = (model.held(user) - entered) | exited


def _is_noted_by_command(
    number: int, events: Sequence[Timed], model: Model, commands: Mapping[str, dict[str, Any]]
) -> bool:
    """Whether the key's next event after that number is of a command that says that one before its own."""
    event, _ = events[number]
    if event["data"].get("reason") not in NOTED:
        return False
    after = next(_of_key_at_once(number, events), None)
    if after is None or after[0]["causation"] not in commands:
        return False
    expected = _trial(model).apply(commands[after[0]["causation"]], after[1])
    return len(expected) == 2 and ordered(expected[0]) == ordered(event)


def _trial(model: Model) -> Model:
    """A model to be thrown away; the command that it is for has an event, so its name is free.

    A deep copy of all that long stories leave behind would take most of the time.
    """
    trial = copy(model)
    for name, part in vars(model).items():
        is_deep = name in ("rollouts", "lists", "waiting")
        setattr(trial, name, deepcopy(part, {id(model): trial}) if is_deep else copy(part))
    trial.names = Names()
    return trial


def _of_key_at_once(number: int, events: Sequence[Timed]) -> Iterator[Timed]:
    """The key's other events that may be of the same transaction and the same kind of command."""
    event, at = events[number]
    for after in range(number + 1, len(events)):
        other, time = events[after]
        if time != at or other["type"].startswith("segment."):
            return
        if other["key"] == event["key"]:
            yield other, time


def _follow_job(event: Event, model: Model, time: datetime) -> None:
    """Expiry, deletion or a rollout has ended or begun memberships, or has come to its end."""
    if event["type"] == "segment.populated":
        _hold_end(event, model)
        return
    user, reason, data = event["key"], event["data"]["reason"], event["data"]
    assert user in model.users
    assert data["exited"] or data["entered"] or data["renewed"]
    for item in data["exited"]:
        _follow_exit(model, user, item["segment_id"], reason, time)
    for item in data["entered"]:
        generation = item["segment_id"]
        assert reason == "rollout"
        assert item["expires_at"] is None
        assert (user, generation) not in model.members
        assert model.is_inside(generation, user)
        model.members[user, generation] = Member(True, None, time, "rollout")
        model.rollouts[generation].counts["entered"] += 1
    for item in data["renewed"]:
        row = model.members[user, item["segment_id"]]
        assert (reason, item["expires_at"]) == ("expiry", None)
        assert row.included
        assert row.is_over(time)
        assert model.is_inside(item["segment_id"], user)
        model.members[user, item["segment_id"]] = replace(row, expires_at=None, origin="rollout")


def _follow_exit(model: Model, user: str, generation: str, reason: str, time: datetime) -> None:
    row = model.members.pop((user, generation))
    assert row.included
    match reason:
        case "expiry":
            assert model.has_lapsed(generation, user, row, time)
        case "segment_deleted":
            assert generation in model.deleted
            assert not model.has_lapsed(generation, user, row, time)
            model.ended_early[generation] += 1
        case _:
            assert reason == "rollout"
            assert row.origin == "rollout"
            assert not model.is_inside(generation, user)
            assert model.rollouts[generation].on_decrease == "release"
            model.rollouts[generation].counts["exited"] += 1


def _hold_end(event: Event, model: Model) -> None:
    generation, data = event["data"]["segment_id"], event["data"]
    if data["cause"] == "rollout":
        rollout = model.rollouts.pop(generation)
        assert data["percent"] == rollout.percent
        assert (data["entered"], data["exited"]) == (rollout.counts["entered"], rollout.counts["exited"])
        _hold_percent(generation, model, is_released=rollout.on_decrease == "release")
        return
    del model.deleted[generation]
    assert (data["entered"], data["exited"]) == (0, model.ended_early.pop(generation, 0))
    for place in [place for place in model.members if place[1] == generation]:
        assert not model.members.pop(place).included


def _hold_percent(generation: str, model: Model, *, is_released: bool) -> None:
    """A user is inside by the formula, unless a command has said otherwise."""
    for user in model.users:
        row = model.members.get((user, generation))
        if model.is_inside(generation, user):
            assert row is not None, (generation, user)
        elif is_released:
            assert row is None or row.origin == "command", (generation, user)
