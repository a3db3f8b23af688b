"""Which partitions are read, and that nothing of what the client has handed out is lost."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from tests.support.lanes import EMPTY, lanes_of
from worker.kafka.clients import AIOKafkaConsumer, KafkaError, TopicPartition
from worker.kafka.fetched import Budget
from worker.line.assignment import Assignment
from worker.line.lanes import Lanes
from worker.line.poll import BUSY_WAIT_MS, Poll
from worker.settings import Settings

SEGMENTS, A, B = TopicPartition("segments", 0), TopicPartition("members", 0), TopicPartition("members", 1)
EVERYTHING = (SEGMENTS, A, B)
Answer = dict[TopicPartition, list[str]] | Exception


class Consumer:
    """Hands out, for each call, what of the next answer belongs to the partitions asked for."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers)
        self.calls: list[tuple[tuple[TopicPartition, ...], int]] = []

    async def getmany(self, *partitions: TopicPartition, timeout_ms: int, max_records: int) -> dict[Any, Any]:
        self.calls.append((partitions or EVERYTHING, timeout_ms))
        answer = self._answers.pop(0) if self._answers else {}
        if isinstance(answer, Exception):
            raise answer
        return {place: records for place, records in answer.items() if place in (partitions or EVERYTHING)}


def poll_of(consumer: Consumer, lanes: Lanes | None = None, held: tuple[TopicPartition, ...] = EVERYTHING) -> Poll:
    assignment = Assignment(lanes=2)
    for place in held:
        assignment.give([place])
        assignment.hold(place, 0, 0)
    return Poll(
        Settings(),
        cast("AIOKafkaConsumer", consumer),
        lanes or lanes_of(2),
        assignment,
        segment_topic="segments",
        stopping=asyncio.Event(),
        beat=lambda: None,
        budget=Budget(4_194_304, 262_144),
    )


async def test_segments_are_asked_first_and_then_each_lane() -> None:
    consumer = Consumer({SEGMENTS: ["s"]}, {A: ["a"]}, {B: ["b"]})
    assert (await poll_of(consumer)()).records == {SEGMENTS: ["s"], A: ["a"], B: ["b"]}
    assert consumer.calls == [((SEGMENTS,), 0), ((A,), 0), ((B,), 0)], "nobody is asked twice"


async def test_segments_that_came_in_between_are_not_left_behind() -> None:
    """One fetch brought all of them, just after the segments were asked for."""
    consumer = Consumer({}, {A: ["a"]}, {B: ["b"]}, {SEGMENTS: ["s"]})
    assert (await poll_of(consumer)()).records == {SEGMENTS: ["s"], A: ["a"], B: ["b"]}


async def test_nor_those_that_come_while_it_waits() -> None:
    consumer = Consumer({}, {}, {}, {A: ["a"]}, {SEGMENTS: ["s"]})
    assert (await poll_of(consumer)()).records == {A: ["a"], SEGMENTS: ["s"]}
    assert consumer.calls[3][1] == Settings().batch_wait_ms_max


@pytest.mark.parametrize("error", [KafkaError("x"), OSError("x")])
async def test_an_error_of_one_lane_keeps_nothing_from_the_others(error: Exception) -> None:
    """What was handed out before the client does not hand out again, and what comes after must not starve."""
    consumer = Consumer({SEGMENTS: ["s"]}, error, {B: ["b"]})
    assert await poll_of(consumer)() == ({SEGMENTS: ["s"], B: ["b"]}, error)
    assert await poll_of(Consumer({SEGMENTS: ["s"]}, {A: ["a"]}, error))() == ({SEGMENTS: ["s"], A: ["a"]}, error)


async def test_an_error_alone_is_told_at_once() -> None:
    error = KafkaError("x")
    consumer = Consumer({}, error, {})
    assert await poll_of(consumer)() == ({}, error)
    assert len(consumer.calls) == 3, "it does not wait for records before it tells"


async def test_the_next_poll_begins_without_the_error() -> None:
    poll = poll_of(Consumer(KafkaError("x"), {}, {}, {A: ["a"]}))
    await poll()
    assert (await poll()).error is None


async def test_a_full_lane_is_not_asked_for_and_the_other_is_not_kept_waiting() -> None:
    lanes = lanes_of(2)
    await list(lanes)[1].put(EMPTY)  # the first one has the segments' partition, and so B
    consumer = Consumer({}, {B: ["b"]})
    assert (await poll_of(consumer, lanes)()).records == {B: ["b"]}
    assert all(A not in partitions for partitions, _ in consumer.calls)
    waiting = Consumer()
    await poll_of(waiting, lanes)()
    assert waiting.calls[-1] == ((SEGMENTS, B), BUSY_WAIT_MS)


async def test_with_all_lanes_full_it_waits_for_room_alone() -> None:
    lanes = lanes_of(2)
    for lane in lanes:
        await lane.put(EMPTY)
    consumer = Consumer()
    polling = asyncio.ensure_future(poll_of(consumer, lanes)())
    for _ in range(20):
        await asyncio.sleep(0)
    assert not polling.done()
    assert {partitions for partitions, _ in consumer.calls} == {(SEGMENTS,)}
    running = asyncio.ensure_future(next(iter(lanes)).run())
    async with asyncio.timeout(5):
        assert await polling == ({}, None)
    running.cancel()


async def test_an_idle_lane_without_a_partition_is_not_waited_for() -> None:
    """The only partition's lane is full, the other lane has nothing to do: it waits for the first one's room."""
    lanes = lanes_of(2)
    first = next(iter(lanes))
    await first.put(EMPTY)
    polling = asyncio.ensure_future(poll_of(Consumer(), lanes, held=(A,))())
    for _ in range(20):
        await asyncio.sleep(0)
    assert not polling.done()
    running = asyncio.ensure_future(first.run())
    async with asyncio.timeout(5):
        await polling
    running.cancel()


async def test_without_any_partition_it_waits_for_the_group() -> None:
    consumer = Consumer()
    await poll_of(consumer, held=())()
    assert consumer.calls == [(EVERYTHING, Settings().batch_wait_ms_max)]
