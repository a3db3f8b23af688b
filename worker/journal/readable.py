"""Which events can be read, by their numbers: looked up from the ends of the topics, whatever the cursor says."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any, NamedTuple

import orjson

from worker.kafka.clients import (
    FETCH_BYTES_MAX,
    FETCH_PARTITION_BYTES_MAX,
    AIOKafkaConsumer,
    TopicPartition,
    abandon,
    reader,
)
from worker.settings import Settings

SPAN_FIRST, SPAN_MAX = 100, 10_000_000
"""Records that are looked at in a partition, from its end, at first and at most; markers and what was aborted count."""
POLL_MS = 200


class Readable(NamedTuple):
    """Numbers of events, and the partitions whose retention may have dropped some of them, which nobody can tell."""

    numbers: set[int]
    unknown: set[TopicPartition]


async def readable(settings: Settings, places: Collection[TopicPartition], journal_id: str, after: int) -> Readable:
    """The numbers after `after` of this journal's events that the partitions hold, as read `read_committed`.

    In each partition numbers only grow, so it is read back until one that is not after it is met, or one of an earlier
    journal. Raises TimeoutError where Kafka does not answer in time, and KafkaError.
    """
    bytes_max = {"fetch_max_bytes": FETCH_BYTES_MAX, "max_partition_fetch_bytes": FETCH_PARTITION_BYTES_MAX}
    consumer = reader(settings, **bytes_max)
    try:
        async with asyncio.timeout(settings.kafka_seconds_max):
            await consumer.start()
            begins = await consumer.beginning_offsets(places)
            ends = await consumer.end_offsets(places)
        return await _Reading(consumer, settings, journal_id, after, begins, ends).all()
    finally:
        await abandon(consumer.stop())


class _Reading:
    """Further and further back, from where the partitions end now."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        settings: Settings,
        journal_id: str,
        after: int,
        begins: dict[TopicPartition, int],
        ends: dict[TopicPartition, int],
    ) -> None:
        self._consumer, self._seconds_max = consumer, settings.kafka_seconds_max
        self._prefix, self._after = f"{journal_id}-", after
        self._begins, self._ends = begins, ends
        self._found: set[int] = set()

    async def all(self) -> Readable:
        """Those of all partitions."""
        unknown: set[TopicPartition] = set()
        span, places = SPAN_FIRST, list(self._ends)
        while places:
            starts = {place: max(self._begins[place], self._ends[place] - span) for place in places}
            firsts = await self._read({place: start for place, start in starts.items() if start < self._ends[place]})
            places = [place for place in places if firsts.get(place, self._after + 1) > self._after]
            unknown |= {place for place in places if starts[place] == self._begins[place] > 0 or span >= SPAN_MAX}
            places = [place for place in places if starts[place] > self._begins[place] and place not in unknown]
            span *= 10
        return Readable(self._found, unknown)

    async def _read(self, starts: dict[TopicPartition, int]) -> dict[TopicPartition, int]:
        """Collect the numbers from there on; returns the first one of each partition that has any."""
        self._consumer.assign(list(starts))
        for place, start in starts.items():
            self._consumer.seek(place, start)
        firsts: dict[TopicPartition, int] = {}
        left, loop = list(starts), asyncio.get_running_loop()
        async with asyncio.timeout(self._seconds_max) as limit:
            while left := [place for place in left if await self._consumer.position(place) < self._ends[place]]:
                polled = await self._consumer.getmany(*left, timeout_ms=POLL_MS)
                for place, records in polled.items():
                    limit.reschedule(loop.time() + self._seconds_max)
                    for record in records:
                        self._take(place, record.value, firsts)
        return firsts

    def _take(self, place: TopicPartition, value: bytes | None, firsts: dict[TopicPartition, int]) -> None:
        """Whatever else stands there is passed over; before an earlier journal's event there is none of this one."""
        try:
            event: Any = orjson.loads(value or b"")
            number, is_own = int(event["sequence"]), str(event["id"]).startswith(self._prefix)
        except (ValueError, TypeError, KeyError):
            return
        firsts.setdefault(place, number if is_own else self._after)
        if is_own and number > self._after:
            self._found.add(number)
