"""`ready` and `reached`: they end when everything is in, or say what is missing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, Message

from schemas.reader import ReaderError, StalledError
from tests.support.kept import STATES, kept, state

SOON = 0.01


async def test_ready_when_each_partition_is_at_its_end(tmp_path: Path) -> None:
    with kept(tmp_path) as one:
        one.ends |= {(STATES, 0): 2, (STATES, 1): 3}
        await one.begin((STATES, 0), (STATES, 1))
        ready = asyncio.create_task(one.memberships.ready())
        await one.memberships.take([state(0, "sam", 1), state(1, "ada", 2)])
        await one.memberships.take([state(0, "eve", 3, partition=1)])
        assert not ready.done()
        await one.memberships.take([], {(STATES, 1): 3})  # behind it were markers alone
        await ready


async def test_the_end_as_librdkafka_tells_it(tmp_path: Path) -> None:
    end = Message(topic=STATES, partition=0, offset=3, error=KafkaError(KafkaError._PARTITION_EOF))
    with kept(tmp_path) as one:
        one.ends[STATES, 0] = 3
        await one.begin()
        ready = asyncio.create_task(one.memberships.ready())
        await one.memberships.take([state(0, "sam", 1, "beta"), end])
        await ready


async def test_a_warm_store_is_ready_at_once(tmp_path: Path) -> None:
    with kept(tmp_path) as one:
        await one.begin()
        one.memberships.apply([state(0, "sam", 1)])
    with kept(tmp_path) as one:
        one.ends[STATES, 0] = 1
        await one.begin()
        await one.memberships.ready()


async def test_what_does_not_move_is_named(tmp_path: Path) -> None:
    with kept(tmp_path) as one:
        one.ends |= {(STATES, number): number for number in range(6)}
        await one.begin(*((STATES, number) for number in range(6)))
        lack = rf"{STATES}/1: 1, {STATES}/2: 2, {STATES}/3: 3 and 2 partitions more"
        with pytest.raises(StalledError, match=f"Nothing was read for 0.01 s; offsets still to come: {lack}"):
            await one.memberships.ready(stall_seconds=SOON)
        with pytest.raises(TimeoutError, match="Not read to the end"):
            await one.memberships.reached(5, timeout_seconds=SOON)


async def test_reached_asks_for_the_ends_after_it_was_called(tmp_path: Path) -> None:
    """What was published since `ready` is not in yet, whatever the sequence of what is."""
    with kept(tmp_path) as one:
        one.ends[STATES, 0] = 1
        await one.begin()
        one.memberships.apply([state(0, "sam", 10)])
        await one.memberships.reached(4)
        one.ends[STATES, 0] = 2
        reached = asyncio.create_task(one.memberships.reached(5))
        await asyncio.sleep(0)
        assert not reached.done()
        one.memberships.apply([state(1, "ada", 10)])
        await reached
        asked = one.asked
        await one.memberships.reached(5)
        await one.memberships.reached(3)
        assert one.asked == asked


async def test_those_who_wait_together_share_an_answer_that_is_not_older_than_they_are(tmp_path: Path) -> None:
    gate, asked = asyncio.Event(), 0

    async def ends() -> Mapping[tuple[str, int], int]:
        nonlocal asked
        asked += 1
        if asked == 1:
            return {(STATES, 0): 0}
        await gate.wait()
        return {(STATES, 0): 0}

    with kept(tmp_path) as one:
        await one.memberships.begin({(STATES, 0): 0}, ends)
        first = asyncio.create_task(one.memberships.reached(1))
        while asked < 2:
            await asyncio.sleep(0)
        others = [asyncio.create_task(one.memberships.reached(number)) for number in range(2, 100)]
        await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(first, *others)
        assert asked == 3


async def test_kafka_that_does_not_answer(tmp_path: Path) -> None:
    async def never() -> Mapping[tuple[str, int], int]:
        await asyncio.Event().wait()
        raise AssertionError

    with kept(tmp_path) as one, pytest.raises(StalledError, match=r"Kafka did not say within 0\.01 s"):
        await one.memberships.begin({(STATES, 0): 0}, never, timeout_seconds=SOON)


async def test_closed_nobody_waits_any_more(tmp_path: Path) -> None:
    with kept(tmp_path) as one:
        one.ends[STATES, 0] = 1
        await one.begin()
        ready = asyncio.create_task(one.memberships.ready())
        while not one.memberships._passage._waiting:
            await asyncio.sleep(0)
        one.memberships.close()
        with pytest.raises(ReaderError, match="closed while something waited"):
            await ready


async def test_cancelled_a_batch_is_in_nevertheless(tmp_path: Path) -> None:
    with kept(tmp_path) as one:
        await one.begin()
        taking = asyncio.create_task(one.memberships.take([state(n, "sam", n, "beta") for n in range(1_000)]))
        await asyncio.sleep(0)
        taking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await taking
        assert one.memberships.sequence_of("sam") == 999
        await one.memberships.take([state(1_000, "sam", 1_000)])


async def test_records_from_another_thread_wake_the_loop(tmp_path: Path) -> None:
    with kept(tmp_path) as one:
        one.ends[STATES, 0] = 1
        await one.begin()
        ready = asyncio.create_task(one.memberships.ready())
        await asyncio.to_thread(one.memberships.apply, [state(0, "sam", 1)])
        await ready
