"""Which events stand in the topics, by their numbers: looked up from the partitions' ends, whatever the cursor says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import orjson

from worker.kafka.clients import (
    FETCH_BYTES_MAX,
    FETCH_PARTITION_BYTES_MAX,
    ConsumerRecord,
    TopicPartition,
    reading,
)
from worker.kafka.ranges import Range, read, read_back
from worker.kafka.words import named
from worker.observability.logs import logger
from worker.settings import Settings

log = logger(__name__)

SPAN_MAX = 1_000_000
"""Records that are looked at in a partition, from its end, at most; markers and what was aborted count."""
Isolation = Literal["read_committed", "read_uncommitted"]


class Events:
    """One journal's events, of what is committed or of all that was ever written."""

    def __init__(self, settings: Settings, journal_id: str, isolation: Isolation) -> None:
        self._settings, self._prefix = settings, f"{journal_id}-"
        self._options = {
            "isolation_level": isolation,
            "fetch_max_bytes": FETCH_BYTES_MAX,
            "max_partition_fetch_bytes": FETCH_PARTITION_BYTES_MAX,
        }

    async def between(self, ranges: Mapping[TopicPartition, Range]) -> set[int]:
        """The numbers that stand in these ranges. Raises as `after`."""
        numbers = _Numbers(self._prefix, -1)
        async with reading(self._settings, **self._options) as consumer:
            await read(consumer, ranges, numbers.take, self._settings.kafka_seconds_max)
        return numbers.found

    async def after(self, number: int, ranges: Mapping[TopicPartition, Range]) -> set[int]:
        """The numbers after this one, as far as the ranges go.

        In each partition numbers only grow, so it is read back until one is met that is not after it, or one of an
        earlier journal. Raises TimeoutError where a partition is not read on in time, and KafkaError.
        """
        numbers, seconds = _Numbers(self._prefix, number), self._settings.kafka_seconds_max
        async with reading(self._settings, **self._options) as consumer:
            left = await read_back(consumer, ranges, numbers.take, numbers.is_enough, seconds, SPAN_MAX)
        if left:
            log.warning("partitions hold too much else to find all events", places=named(left))
        return numbers.found


class _Numbers:
    """What was met so far."""

    def __init__(self, prefix: str, after: int) -> None:
        self._prefix, self._after = prefix, after
        self._firsts: dict[TopicPartition, tuple[int, int]] = {}
        """The first event's offset, and its number; one of an earlier journal counts as not after."""
        self.found: set[int] = set()

    def take(self, place: TopicPartition, record: ConsumerRecord) -> None:
        """Whatever is no event is passed over."""
        try:
            event: Any = orjson.loads(record.value or b"")
            number, is_own = int(event["sequence"]), str(event["id"]).startswith(self._prefix)
        except (ValueError, TypeError, KeyError):
            return
        first = self._firsts.get(place)
        if first is None or record.offset < first[0]:
            self._firsts[place] = record.offset, number if is_own else self._after
        if is_own and number > self._after:
            self.found.add(number)

    def is_enough(self, place: TopicPartition) -> bool:
        """Whether nothing of interest comes before: before an earlier journal's event there is none of this one."""
        return place in self._firsts and self._firsts[place][1] <= self._after
