"""Partitions whose next batch of records can't be read: each is halted alone, once all before it is applied."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from worker.kafka.clients import TopicPartition
from worker.kafka.fetched import Unreadable
from worker.line.assignment import Assignment

REREAD_SECONDS = 60.0
"""How often the batch is read again, s: another replica of it may be whole."""


@dataclass(slots=True)
class Stop:
    """A batch that can't be read, and once its partition is halted for it: the position, and since when."""

    batch: Unreadable
    position: int | None = None
    since: float = 0.0


class Stops:
    """What keeps partitions from being read on."""

    def __init__(self, assignment: Assignment, clock: Callable[[], float] = time.monotonic) -> None:
        self._assignment, self._clock = assignment, clock
        self._stops: dict[TopicPartition, Stop] = {}

    def note(self, found: dict[TopicPartition, Unreadable]) -> list[TopicPartition]:
        """Take over what a poll has found; returns the held ones, of which no more is to be fetched."""
        noted = [partition for partition in found if partition in self._assignment.held]
        self._stops |= {partition: Stop(found[partition]) for partition in noted}
        found.clear()
        return noted

    def due(self) -> Iterator[tuple[TopicPartition, str]]:
        """The partitions that are to be halted now, as nothing of them is in hand any more, and why."""
        for partition, stop in list(self._stops.items()):
            held = self._assignment.held.get(partition)
            if stop.position is not None:
                continue
            if held is None:
                del self._stops[partition]  # taken away, or dropped, and then it is read again
            elif held.applied_offset == held.next_offset:
                stop.position, stop.since = held.applied_offset, self._clock()
                yield partition, _problem(partition, stop.batch)

    def problem(self, partition: TopicPartition, position: int) -> str | None:
        """Why not to read on from the position that was just looked up; None forgets what was in the way."""
        stop = self._stops.get(partition)
        if stop is None:
            return None
        is_moved = partition not in self._assignment.halted or position != stop.position
        if is_moved or self._clock() - stop.since >= REREAD_SECONDS:
            del self._stops[partition]
            return None
        return _problem(partition, stop.batch)


def _problem(partition: TopicPartition, batch: Unreadable) -> str:
    name = f"{partition.topic}:{partition.partition}"
    return f"{batch.told(partition)}. To go on without these: `segmentation reset positions {name} --to {batch.end}`"
