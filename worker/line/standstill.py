"""Checks that commands make progress: no partition with records may stand still while Kafka and PostgreSQL answer.

Loops that beat show that they are alive, not that all of them together get anywhere. This looks at the result: whether
what waits in a partition was applied since the last look. `/livez` fails where it was not for too long.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from worker.kafka.clients import TopicPartition
from worker.line.assignment import Assignment
from worker.observability.logs import logger

log = logger(__name__)

JOIN_SECONDS_EXTRA = 60.0
"""A group gives its partitions out anew within this time, if one of its members has died: the rebalance's own limit."""


class Waiting(NamedTuple):
    """Something that waits to get on; while offset and epoch are the same, nothing has changed."""

    what: str
    seconds_extra: float = 0.0
    offset: int = 0
    epoch: int = 0


class Standstill:
    """How long each part of the assignment has waited without progress while the services were well."""

    def __init__(
        self, assignment: Assignment, *, seconds_max: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._assignment, self._seconds_max, self._clock = assignment, seconds_max, clock
        self._since: dict[Waiting, float] = {}
        self._said: set[Waiting] = set()

    def look(self, ends: Mapping[TopicPartition, int], *, services_are_well: bool) -> None:
        """Compare with the last look. `ends` are the offsets after each held partition's last record.

        While a service is away all clocks begin anew.
        """
        now = self._clock()
        before = self._since if services_are_well else {}
        self._since = {waiting: before.get(waiting, now) for waiting in self._waiting(ends)}
        self._said &= self._since.keys()
        for waiting, seconds in self._too_long(now):
            if waiting not in self._said:
                self._said.add(waiting)
                log.error("no progress although Kafka and PostgreSQL answer", what=waiting.what, seconds=round(seconds))

    def stuck(self) -> dict[str, float]:
        """What has waited for too long, with the seconds."""
        return {waiting.what: seconds for waiting, seconds in self._too_long(self._clock())}

    def _too_long(self, now: float) -> Iterator[tuple[Waiting, float]]:
        for waiting, since in self._since.items():
            if now - since > self._seconds_max + waiting.seconds_extra:
                yield waiting, now - since

    def _waiting(self, ends: Mapping[TopicPartition, int]) -> Iterator[Waiting]:
        if not self._assignment.has_share:
            yield Waiting("the consumer group has given this worker no partitions", JOIN_SECONDS_EXTRA)
        for partition in self._assignment.wanted:
            yield Waiting(f"partition {_name(partition)} waits for its position")
        for partition, held in self._assignment.held.items():
            if held.applied_offset < ends.get(partition, 0):
                name = f"partition {_name(partition)} has commands to be applied"
                yield Waiting(name, 0.0, held.applied_offset, held.epoch)


def _name(partition: TopicPartition) -> str:
    return f"{partition.topic}:{partition.partition}"
