"""Which partitions are read, and that nothing of what the client has handed out is lost."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from worker.kafka.clients import AIOKafkaConsumer, KafkaError, TopicPartition
from worker.line.assignment import Assignment
from worker.line.lanes import Lane
from worker.line.poll import Poll
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


class Room:
    """A lane that takes whatever comes."""

    def has_room(self) -> bool:
        return True


def poll_of(consumer: Consumer) -> Poll:
    assignment = Assignment()
    for place in EVERYTHING:
        assignment.give([place])
        assignment.hold(place, 0, 0)
    return Poll(
        Settings(),
        cast("AIOKafkaConsumer", consumer),
        cast("list[Lane]", [Room(), Room()]),
        assignment,
        segment_topic="segments",
        stopping=asyncio.Event(),
        beat=lambda: None,
    )


async def test_segments_are_asked_first_and_then_each_lane() -> None:
    consumer = Consumer({SEGMENTS: ["s"]}, {A: ["a"]}, {B: ["b"]})
    assert await poll_of(consumer)() == {SEGMENTS: ["s"], A: ["a"], B: ["b"]}
    assert consumer.calls == [((SEGMENTS,), 0), ((A,), 0), ((B,), 0)], "nobody is asked twice"


async def test_segments_that_came_in_between_are_not_left_behind() -> None:
    """One fetch brought all of them, just after the segments were asked for."""
    consumer = Consumer({}, {A: ["a"]}, {B: ["b"]}, {SEGMENTS: ["s"]})
    assert await poll_of(consumer)() == {SEGMENTS: ["s"], A: ["a"], B: ["b"]}


async def test_nor_those_that_come_while_it_waits() -> None:
    consumer = Consumer({}, {}, {}, {A: ["a"]}, {SEGMENTS: ["s"]})
    assert await poll_of(consumer)() == {A: ["a"], SEGMENTS: ["s"]}
    assert consumer.calls[3][1] == Settings().batch_wait_ms_max


@pytest.mark.parametrize("error", [KafkaError("x"), OSError("x")])
async def test_what_was_handed_out_before_an_error_is_kept(error: Exception) -> None:
    """The client would not hand it out again; the error is not forgotten."""
    poll = poll_of(Consumer({SEGMENTS: ["s"]}, {A: ["a"]}, error))
    assert await poll() == {SEGMENTS: ["s"], A: ["a"]}
    with pytest.raises(type(error)):
        await poll()


async def test_an_error_alone_is_raised_at_once() -> None:
    with pytest.raises(KafkaError):
        await poll_of(Consumer(KafkaError("x")))()
