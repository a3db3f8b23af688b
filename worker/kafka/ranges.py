"""Reads ranges of offsets, each once, or from a partition's end back as far as it takes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import NamedTuple

from worker.kafka.clients import AIOKafkaConsumer, ConsumerRecord, TopicPartition

SPAN_FIRST = 100
"""Records that are looked at first, from a partition's end; aborted ones and markers may lie there."""
POLL_RECORDS_MAX, POLL_MS = 1_000, 200
Take = Callable[[TopicPartition, ConsumerRecord], None]


class Range(NamedTuple):
    """Offsets of a partition, the second not included."""

    begin: int
    end: int


async def read(consumer: AIOKafkaConsumer, ranges: Mapping[TopicPartition, Range], take: Take, seconds: float) -> None:
    """Hand over what a started consumer can read of these ranges, in order for each partition.

    Raises TimeoutError where it comes no further for so long, and KafkaError.
    """
    consumer.assign(list(ranges))
    for place, its in ranges.items():
        consumer.seek(place, its.begin)
    positions = {place: its.begin for place, its in ranges.items()}
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(seconds) as limit:
        while left := [place for place, position in positions.items() if position < ranges[place].end]:
            polled = await consumer.getmany(*left, timeout_ms=POLL_MS, max_records=POLL_RECORDS_MAX)
            for place, records in polled.items():
                for record in records:
                    take(place, record)
            now = {place: await consumer.position(place) for place in left}
            if any(now[place] > positions[place] for place in left):
                limit.reschedule(loop.time() + seconds)
            positions |= now


async def read_back(
    consumer: AIOKafkaConsumer,
    ranges: Mapping[TopicPartition, Range],
    take: Take,
    is_enough: Callable[[TopicPartition], bool],
    seconds: float,
    span_max: int | None = None,
) -> list[TopicPartition]:
    """Read the ends of these ranges, longer and longer ones and so again and again, until it is enough of each.

    Returns those of which even `span_max` records were not enough. Raises as `read`.
    """
    span, left = SPAN_FIRST, {place: its for place, its in ranges.items() if its.begin < its.end}
    while left and (span_max is None or span <= span_max):
        ends = {place: Range(max(its.begin, its.end - span), its.end) for place, its in left.items()}
        await read(consumer, ends, take, seconds)
        left = {place: its for place, its in left.items() if its.end - span > its.begin and not is_enough(place)}
        span *= 10
    return list(left)
