"""Transactions that producers leave open on topics of commands: what stands behind them waits, and nobody can help it
but the producer, or the time limit that it gave the transaction.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from worker.kafka.clients import TopicPartition
from worker.observability import metrics
from worker.observability.logs import logger

log = logger(__name__)

SAID_SECONDS = 10.0
"""A transaction that is open for longer is named in the log."""


@dataclass(slots=True)
class Open:
    """Where the last stable offset stands, since when, and whether the log has it."""

    offset: int
    since: float
    is_said: bool = False


class OpenTransactions:
    """Since when each partition's last stable offset has stood still below its high watermark."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._found: dict[TopicPartition, Open] = {}

    def look(
        self,
        stable: Mapping[TopicPartition, int],
        marks: Mapping[TopicPartition, int],
        held: Mapping[TopicPartition, object],
    ) -> None:
        """Compare the last stable offsets with the high watermarks, and both with the last look.

        Of held partitions that are in neither nothing new is known; the others are forgotten.
        """
        now = self._clock()
        self._found = {place: one for place, one in self._found.items() if place in held}
        metrics.OPEN_TRANSACTION_SECONDS.clear()  # what is not known is absent
        for place in stable.keys() & marks.keys():
            offset, before = stable[place], self._found.get(place)
            if offset >= marks[place]:
                self._end(place)
            elif before is None or before.offset != offset:
                self._end(place)
                self._found[place] = Open(offset, now)
            metrics.OPEN_TRANSACTION_SECONDS.labels(place.topic, place.partition).set(self.seconds(place))
            self._say(place)

    def seconds(self, place: TopicPartition) -> float:
        """For how long a transaction is known to be open there; 0 where none is."""
        found = self._found.get(place)
        return 0.0 if found is None else self._clock() - found.since

    def _say(self, place: TopicPartition) -> None:
        found, seconds = self._found.get(place), self.seconds(place)
        if found is None or found.is_said or seconds < SAID_SECONDS:
            return
        found.is_said = True
        log.warning(
            "a producer has left a transaction open; the commands behind it wait until it ends or times out",
            topic=place.topic,
            partition=place.partition,
            offset=found.offset,
            seconds=round(seconds),
        )

    def _end(self, place: TopicPartition) -> None:
        found = self._found.pop(place, None)
        if found is not None and found.is_said:
            log.info("the transaction has ended", topic=place.topic, partition=place.partition, offset=found.offset)
