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
from worker.settings import Settings

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
        found: dict[TopicPartition, list[tuple[int, bool]]] = await self._read(ranges)
        return {number for its in found.values() for number, is_own in its if is_own}

    async def after(self, number: int, ranges: Mapping[TopicPartition, Range]) -> set[int]:
        """The numbers after this one, as far as the ranges go.

        In each partition numbers only grow, so it is read back until one is met that is not after it, or one of an
        earlier journal. Raises TimeoutError where a partition is not read on in time, and KafkaError.
        """
        found: set[int] = set()
        span, left = SPAN_FIRST, {place: its for place, its in ranges.items() if its.begin < its.end}
        while left and span <= SPAN_MAX:
            read = await self._read(
                {place: Range(max(its.begin, its.end - span), its.end) for place, its in left.items()}
            )
            for its in read.values():
                found.update(own for own, is_own in its if is_own and own > number)
            left = {
                place: its
                for place, its in left.items()
                if its.end - span > its.begin and not _reaches_back(read[place], number)
            }
            span *= 10
        return found

    async def _read(self, ranges: Mapping[TopicPartition, Range]) -> dict[TopicPartition, list[tuple[int, bool]]]:
        """All numbers there, in order, and whether they are this journal's."""
        self._consumer.assign(list(ranges))
        for place, its in ranges.items():
            self._consumer.seek(place, its.begin)
        found: dict[TopicPartition, list[tuple[int, bool]]] = {place: [] for place in ranges}
        positions = {place: its.begin for place, its in ranges.items()}
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(self._seconds_max) as limit:
            while left := [place for place, position in positions.items() if position < ranges[place].end]:
                polled = await self._consumer.getmany(*left, timeout_ms=POLL_MS, max_records=POLL_RECORDS_MAX)
                for place, records in polled.items():
                    numbers = (_number(record.value, self._prefix) for record in records)
                    found[place] += [number for number in numbers if number is not None]
                now = {place: await self._consumer.position(place) for place in left}
                if any(now[place] > positions[place] for place in left):
                    limit.reschedule(loop.time() + self._seconds_max)
                positions |= now
        return found


def _reaches_back(found: list[tuple[int, bool]], number: int) -> bool:
    """Whether nothing before these is of interest: before an earlier journal's event there is none of this one."""
    return bool(found) and (not found[0][1] or found[0][0] <= number)


def _number(value: bytes | None, prefix: str) -> tuple[int, bool] | None:
    """An event's number, and whether it is this journal's; None of whatever else stands there."""
    try:
        event: Any = orjson.loads(value or b"")
        return int(event["sequence"]), str(event["id"]).startswith(prefix)
    except (ValueError, TypeError, KeyError):
        return None
