"""Which events stand in the topics, by their numbers: looked up from the partitions' ends, whatever the cursor says."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import orjson

from worker.kafka.clients import (
    FETCH_BYTES_MAX,
    FETCH_PARTITION_BYTES_MAX,
    AIOKafkaConsumer,
    TopicPartition,
    abandon,
    reader,
)
from worker.observability.logs import logger
from worker.settings import Settings

log = logger(__name__)

SPAN_FIRST, SPAN_MAX = 100, 1_000_000
"""Records that are looked at in a partition, from its end, at first and at most; markers and what was aborted count."""
POLL_RECORDS_MAX, POLL_MS = 1_000, 200
Isolation = Literal["read_committed", "read_uncommitted"]


class Range(NamedTuple):
    """Offsets of a partition, the second not included."""

    begin: int
    end: int


class Events:
    """Reads one journal's events, of what is committed or of all that was ever written, over its own connection."""

    def __init__(self, settings: Settings, journal_id: str, isolation: Isolation) -> None:
        self._seconds_max, self._prefix = settings.kafka_seconds_max, f"{journal_id}-"
        self._consumer: AIOKafkaConsumer = reader(
            settings,
            isolation_level=isolation,
            fetch_max_bytes=FETCH_BYTES_MAX,
            max_partition_fetch_bytes=FETCH_PARTITION_BYTES_MAX,
        )

    async def __aenter__(self) -> Events:
        """Connect; raises TimeoutError, KafkaError."""
        try:
            async with asyncio.timeout(self._seconds_max):
                await self._consumer.start()
        except BaseException:
            await abandon(self._consumer.stop())
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave Kafka."""
        await abandon(self._consumer.stop())

    async def between(self, ranges: Mapping[TopicPartition, Range]) -> set[int]:
        """The numbers that stand in these ranges."""
        found: set[int] = set()
        await self._read(ranges, -1, found)
        return found

    async def after(self, number: int, ranges: Mapping[TopicPartition, Range]) -> set[int]:
        """The numbers after this one, as far as the ranges go.

        In each partition numbers only grow, so it is read back until one is met that is not after it, or one of an
        earlier journal. Raises TimeoutError where a partition is not read on in time, and KafkaError.
        """
        found: set[int] = set()
        span, left = SPAN_FIRST, {place: its for place, its in ranges.items() if its.begin < its.end}
        while left and span <= SPAN_MAX:
            parts = {place: Range(max(its.begin, its.end - span), its.end) for place, its in left.items()}
            back = await self._read(parts, number, found)
            left = {place: its for place, its in left.items() if its.end - span > its.begin and place not in back}
            span *= 10
        if left:
            log.warning(
                "partitions hold too much else to find all events", places=[f"{p.topic}:{p.partition}" for p in left]
            )
        return found

    async def _read(self, ranges: Mapping[TopicPartition, Range], number: int, found: set[int]) -> set[TopicPartition]:
        """Collect the numbers after this one; returns where nothing before the range is of interest."""
        self._consumer.assign(list(ranges))
        for place, its in ranges.items():
            self._consumer.seek(place, its.begin)
        firsts: dict[TopicPartition, int] = {}
        positions = {place: its.begin for place, its in ranges.items()}
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(self._seconds_max) as limit:
            while left := [place for place, position in positions.items() if position < ranges[place].end]:
                polled = await self._consumer.getmany(*left, timeout_ms=POLL_MS, max_records=POLL_RECORDS_MAX)
                for place, records in polled.items():
                    for record in records:
                        self._take(place, record.value, number, firsts, found)
                now = {place: await self._consumer.position(place) for place in left}
                if any(now[place] > positions[place] for place in left):
                    limit.reschedule(loop.time() + self._seconds_max)
                positions |= now
        return {place for place, first in firsts.items() if first <= number}

    def _take(
        self, place: TopicPartition, value: bytes | None, after: int, firsts: dict[TopicPartition, int], found: set[int]
    ) -> None:
        """Before an earlier journal's event there is none of this one; whatever else stands there is passed over."""
        try:
            event: Any = orjson.loads(value or b"")
            number, is_own = int(event["sequence"]), str(event["id"]).startswith(self._prefix)
        except (ValueError, TypeError, KeyError):
            return
        firsts.setdefault(place, number if is_own else after)
        if is_own and number > after:
            found.add(number)
