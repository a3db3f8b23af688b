"""Who waits for a lane goes on as soon as it has room, whenever the wait began; what is dropped is not forgotten."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from tests.support.lanes import EMPTY, Controlled, lane_of
from worker.line.batch import Batch, Span
from worker.line.lanes import Lane, Lanes

SECONDS_MAX = 5.0


@contextlib.asynccontextmanager
async def running(*lanes: Lane) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(lane.run()) for lane in lanes]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def test_room_that_came_before_it_was_waited_for_is_noticed() -> None:
    """The lane takes its batch in the tick in which the wait begins: what it says of that must not be wiped out."""
    applier = Controlled()
    lane = lane_of(applier, [])
    lanes = Lanes([lane], lambda: None)
    await lane.put(EMPTY)
    assert not lane.has_room()
    async with running(lane), asyncio.timeout(SECONDS_MAX):
        await lanes.any_room([lane])
        assert lane.has_room()
        await lane.put(EMPTY)
        assert not lane.has_room()
        waiting = asyncio.ensure_future(lanes.any_room([lane]))
        await asyncio.sleep(0)
        applier.gate.set()
        await waiting


async def test_a_lane_with_room_is_not_waited_for() -> None:
    async with asyncio.timeout(SECONDS_MAX):
        await Lanes([lane_of(Controlled(), [])], lambda: None).any_room([lane_of(Controlled(), [])])


async def test_many_may_wait_for_the_same_lane() -> None:
    applier = Controlled()
    lane = lane_of(applier, [])
    async with running(lane), asyncio.timeout(SECONDS_MAX):
        await lane.put(EMPTY)
        await lane.put(EMPTY)
        waiting = [asyncio.ensure_future(lane.room()) for _ in range(5)]
        await asyncio.sleep(0)
        applier.gate.set()
        await asyncio.gather(*waiting)


async def test_a_batch_that_is_no_longer_current_is_given_back() -> None:
    """One of its partitions has moved on; what it holds of the others would never be read again otherwise."""
    dropped: list[Batch] = []
    applier = Controlled()
    lane = lane_of(applier, dropped, is_current=False)
    batch = Batch((), (Span("t", 0, 1, 0, 1), Span("t", 1, 1, 0, 1)))
    async with running(lane), asyncio.timeout(SECONDS_MAX):
        await lane.put(batch)
        await lane.idle()
    assert dropped == [batch]
    assert applier.applied == []


async def test_a_batch_that_is_applied_alone_meets_no_other() -> None:
    appliers = [Controlled(), Controlled()]
    both = [lane_of(applier, []) for applier in appliers]
    lanes = Lanes(both, lambda: None)
    alone = Batch((), (Span("t", 0, 1, 0, 1),))
    async with running(*both), asyncio.timeout(SECONDS_MAX):
        await lanes.put(EMPTY, both[1])
        putting = asyncio.ensure_future(lanes.put_alone(alone))
        appliers[0].gate.set()
        for _ in range(20):
            await asyncio.sleep(0)
        assert appliers[0].applied == []
        appliers[1].gate.set()
        await putting
        assert appliers[0].applied == [alone]
