"""Random streams of commands: tables, events and answers must be those of the naive model."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import asyncpg
import hypothesis
import pytest
from hypothesis import HealthCheck, example, given, note
from hypothesis import strategies as st

from tests.model.compare import by_key, ordered
from tests.model.deciding import decide
from tests.model.follow import follow
from tests.model.happened import Event
from tests.model.hold import hold_answers, hold_counts, hold_lists, hold_schedule, hold_tables
from tests.model.hold_states import hold_states
from tests.model.late_lists import LATE_ENDINGS
from tests.model.list_strategies import ENDINGS, list_stories
from tests.model.naive import Model
from tests.model.schedule_strategies import FIXED, later_stories
from tests.model.state_strategies import STATE_STORIES, followed_by_relay, state_stories, woven
from tests.model.strategies import (
    AFTER_DELETION,
    END,
    LIMIT,
    Ask,
    Decide,
    Deliver,
    Expire,
    Garbage,
    Meet,
    Pass,
    Relay,
    Replace,
    Retain,
    RollOut,
    Sent,
    Sweep,
    Tell,
    Work,
    beginning,
    lapse_then_delete,
    stories,
)
from tests.model.world import SOURCE, WINDOW, World, told
from worker.settings import Settings

PHASES = [hypothesis.Phase.explicit, hypothesis.Phase.reuse, hypothesis.Phase.generate]
"""What meets at the same time does not always meet alike, so that shrinking leads nowhere."""
EMPTY = """
truncate users, segments, memberships, journal, inbox, positions, deletions, rollouts, expiry_held,
    segment_counts, segment_days, imports, import_users, schedule, schedule_forgotten, state_snapshots
restart identity cascade;
update journal_head set sequence = 0, time = 'epoch';
update tally set sequence = null, time = null
"""


@pytest.mark.parametrize("users", ["registered", "any"])
def test_the_worker_does_what_the_model_does(settings: Settings, users: str) -> None:
    lapses = [
        followed_by_relay([beginning, *lapse_then_delete(percent, [after]), *END])
        for percent in (Decimal(0), Decimal(100))
        for after in AFTER_DELETION
    ]
    _hold(settings.model_copy(update={"users": users}), stories, 50, lapses)


@pytest.mark.parametrize(("limit", "endings"), [(LIMIT, ENDINGS), (5_000, ENDINGS + LATE_ENDINGS)], ids=["few", "many"])
def test_lists_do_what_the_model_does(settings: Settings, limit: int, endings: list[list[Any]]) -> None:
    """Imports, with all else between their chunks; with few segments allowed to a user, and with many."""
    fixed = [followed_by_relay([beginning, *ending, *END]) for ending in endings]
    _hold(settings.model_copy(update={"segments_of_user_max": limit}), list_stories, 20, fixed)


@pytest.mark.parametrize(("users", "stories_max"), [("registered", 20), ("any", 5)])
def test_what_takes_effect_later_does_what_the_model_does(settings: Settings, users: str, stories_max: int) -> None:
    """Scheduled, cancelled, overdue and ordinary commands in any order; several processes decide, and end suddenly."""
    fixed = [followed_by_relay([beginning, *story, *END]) for story in FIXED]
    _hold(settings.model_copy(update={"users": users}), later_stories, stories_max, fixed)


def test_the_topic_of_states_is_true_at_any_moment(settings: Settings) -> None:
    """Switched on and off, with snapshots, relays that end suddenly, and all else between their statements."""
    _hold(settings, state_stories, 20, STATE_STORIES)


def _hold(settings: Settings, stories: st.SearchStrategy[list[Any]], stories_max: int, fixed: list[list[Any]]) -> None:
    """Tell random stories and the fixed ones."""
    with asyncio.Runner() as runner:

        @hypothesis.settings(
            max_examples=stories_max, deadline=None, suppress_health_check=list(HealthCheck), phases=PHASES
        )
        @given(woven(stories))
        def hold(story: list[Any]) -> None:
            runner.run(_tell(settings, story))

        for story in fixed:
            hold = example(story)(hold)
        hold()


async def _tell(worker_settings: Settings, story: list[Any]) -> None:
    connection = await asyncpg.connect(worker_settings.database_url.get_secret_value())
    try:
        await connection.execute(EMPTY)
        async with World(worker_settings) as world:
            unknown_users = "admitted" if worker_settings.users == "any" else "refused"
            model = Model(world.reader.salts, unknown_users, worker_settings.segments_of_user_max)
            for step in story:
                await _go(connection, world, model, step)
            await world.relaying.finish()
            await hold_tables(connection, world, model, world.journaled)
            await hold_answers(world, model)
            await hold_lists(connection, world, model)
            await hold_schedule(connection, model)
            await hold_counts(connection, world, model)
            hold_states(world, model)
    finally:
        await connection.close()


async def _go(connection: asyncpg.Connection[asyncpg.Record], world: World, model: Model, step: Any) -> None:
    """Do it, and hold its events against the model's."""
    match step:
        case Tell():
            await world.tell()
        case Meet():
            await _meet(world, model, step)
        case Relay():
            await world.relaying.go_on(step, partial(_go, connection, world, model, step.meanwhile))
        case Replace(is_on):
            world.relaying.replaced(is_on=is_on)
        case Ask(is_lost):
            await world.relaying.asked(is_lost=is_lost)
        case _:
            _hold_events(step, *await _step(connection, world, model, step))


async def _step(
    connection: asyncpg.Connection[asyncpg.Record], world: World, model: Model, step: Any
) -> tuple[list[Event], list[Event]]:
    """Do it; the worker's events and the model's. The worker goes first: it chooses the salts of new segments."""
    match step:
        case Pass(seconds):
            world.now += timedelta(seconds=seconds)
        case Sweep():
            await world.sweep()
            return await world.events(), model.sweep_deleted()
        case Retain():
            await world.retain()
            model.names.forget(world.now - WINDOW)
        case Expire():
            await world.expire()
            return await world.events(), model.expire(world.now)
        case RollOut(turns):
            return await _roll_out(connection, world, model, turns)
        case Work() | Decide():
            return await _work(connection, world, model, step)
        case Deliver(records, together):
            return await _deliver(world, model, records, together=together)
        case _:
            raise AssertionError(step)
    return await world.events(), []


async def _meet(world: World, model: Model, step: Meet) -> None:
    """What came first is in the journal; the model follows it."""
    pairs = _paired(world, step.records)
    await world.meet([received for _, _, received in pairs], step)
    events = await world.events()
    note(f"{step}\n  actual: {events}")
    commands: dict[str, dict[str, Any]] = {}
    others: list[dict[str, Any]] = []
    for record, _, _ in pairs:
        if isinstance(record, Sent):
            command = told(record)
            is_known = (SOURCE, record.id) in model.names or record.id in commands
            others += [command] if is_known else []
            commands |= {} if is_known else {record.id: command}
    reused = [event for event in events if event["data"].get("code") == "id_reused"]
    others_left = [event for event in events if event not in reused]
    readable = [one for one in others_left if one["type"] != "command.rejected" or one["causation"] in commands]
    follow(model, [(event, world.now) for event in readable], commands)
    assert all((SOURCE, command) in model.names for command in commands)
    assert reused == [event for command in others for event in model.apply(command, world.now)]
    codes = [event["data"]["code"] for event in others_left if event not in readable]
    assert sorted(codes) == sorted(record.code for record, _, _ in pairs if isinstance(record, Garbage))


def _paired(world: World, sent: list[Sent | Garbage]) -> list[Any]:
    """Segment commands first, then each partition's records in order, as the line has them in a batch."""
    pairs = [(record, *world.received(record)) for record in sent]
    return sorted(pairs, key=lambda pair: (pair[1].value != "segment-commands", pair[2][:3]))


async def _roll_out(
    connection: asyncpg.Connection[asyncpg.Record], world: World, model: Model, turns: int
) -> tuple[list[Event], list[Event]]:
    actual: list[Event] = []
    expected: list[Event] = []
    for _ in range(turns):
        decided = await world.roll_out(connection)
        if decided is None:
            assert not model.rollouts
            break
        segment_id, users, is_done = decided
        actual += await world.events()
        expected += model.roll_out(world.reader.generation(segment_id), users, world.now, is_done=is_done)
    return actual, expected


async def _work(
    connection: asyncpg.Connection[asyncpg.Record], world: World, model: Model, step: Work | Decide
) -> tuple[list[Event], list[Event]]:
    """However many processes there were, what is due was decided once, and so were each list's users."""
    if isinstance(step, Decide):
        await decide(world, step)
        return await world.events(), model.waiting.decide(world.now)
    went_on = await world.work(connection, step)
    rows = await connection.fetch("select user_id, user_key from users")
    keys = {row["user_id"]: row["user_key"] for row in rows}
    expected = [event for name, reached in went_on for event in model.lists.go_on(name, reached, keys, world.now)]
    return await world.events(), expected


async def _deliver(
    world: World, model: Model, sent: list[Sent | Garbage], *, together: bool
) -> tuple[list[Event], list[Event]]:
    """The batch has the segment commands first, then each partition's records in order; so has the model."""
    pairs = _paired(world, sent)
    if any(topic.value == "segment-commands" for _, topic, _ in pairs):
        together = True  # as the line does it
    if not together and _shares_a_name(pairs):
        together = True  # which of two at the same time comes first is open
    await world.deliver([received for _, _, received in pairs], together=together)
    actual = await world.events()
    expected: list[Event] = []
    for record, _, received in pairs:
        if isinstance(record, Garbage):
            key = received.key.decode() if received.key else None
            expected.append({"type": "command.rejected", "key": key, "causation": ..., "data": {"code": record.code}})
        else:
            expected += model.apply(told(record), world.now)
    return actual, expected


def _shares_a_name(pairs: list[Any]) -> bool:
    names: dict[str, int] = {}
    for record, _, received in pairs:
        if isinstance(record, Sent) and names.setdefault(record.id, received.partition) != received.partition:
            return True
    return False


def _hold_events(step: Any, actual: list[Event], expected: list[Event]) -> None:
    note(f"{step}\n  actual: {actual}\n  expected: {expected}")
    got, wanted = by_key(actual), by_key(expected)
    assert got.keys() == wanted.keys()
    for key in wanted:
        mine, events = got[key], wanted[key]
        if isinstance(step, Sweep | Expire):
            mine, events = sorted(mine, key=str), sorted(events, key=str)
        assert len(mine) == len(events)
        # unreadable records are rejected before the batch's commands are decided: another topic, no promised order
        for kind in (False, True):
            for one, other in zip(_of_kind(mine, kind), _of_kind(events, kind), strict=True):
                _hold_event(one, other)


def _of_kind(events: list[Event], rejected: bool) -> list[Event]:
    chosen = [event for event in events if (event["type"] == "command.rejected") is rejected]
    return sorted(chosen, key=lambda event: event["data"]["code"]) if rejected else chosen


def _hold_event(actual: Event, expected: Event) -> None:
    if expected["causation"] is ...:
        assert (actual["type"], actual["data"]["code"]) == (expected["type"], expected["data"]["code"])
    else:
        assert ordered(actual) == ordered(expected)
