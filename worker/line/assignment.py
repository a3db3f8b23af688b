"""The partitions that are assigned to this worker, and how far each of them is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from worker.kafka.clients import TopicPartition
from worker.line.batch import Batch
from worker.observability import metrics


@dataclass(slots=True)
class Held:
    """A partition with a position, and the number of its lane: `next_offset` is the first that is in no batch yet."""

    epoch: int
    next_offset: int
    applied_offset: int
    lane: int
    topic_id: UUID | None = None
    newest_ms: int = 0


class Assignment:
    """Every partition is wanted (to be acquired), held, or halted with the reason that a person must deal with."""

    def __init__(self, lanes: int) -> None:
        self._lanes = lanes
        self.wanted: set[TopicPartition] = set()
        self.held: dict[TopicPartition, Held] = {}
        self.halted: dict[TopicPartition, str] = {}
        self.missing: list[str] = []
        """The topics of commands that Kafka does not have."""
        self.joined = False
        """Whether the group has ever given us our share, though it be none."""
        self.has_share = False
        """Whether it has done so since it last took all partitions back."""

    def give(self, partitions: Iterable[TopicPartition]) -> None:
        """These were assigned to us, or what we knew of them is no longer true: their positions must be read."""
        for partition in partitions:
            self._leave(partition)
            self.wanted.add(partition)

    def take(self, partitions: Iterable[TopicPartition]) -> None:
        """These are no longer assigned to us."""
        for partition in partitions:
            self._leave(partition)

    def hold(self, partition: TopicPartition, epoch: int, next_offset: int, topic_id: UUID | None = None) -> None:
        """Ready to be read from `next_offset`, in the topic of that id."""
        self._leave(partition)
        self.held[partition] = Held(epoch, next_offset, next_offset, self._idlest_lane(partition.topic), topic_id)

    def _idlest_lane(self, topic: str) -> int:
        """The lane with the fewest partitions of this topic, then of all: never by a partition's number, as the group's
        assignor may give a worker the even ones alone."""
        of_topic, of_all = [0] * self._lanes, [0] * self._lanes
        for partition, held in self.held.items():
            of_all[held.lane] += 1
            of_topic[held.lane] += partition.topic == topic
        return min(range(self._lanes), key=lambda lane: (of_topic[lane], of_all[lane], lane))

    def halt(self, partition: TopicPartition, reason: str) -> None:
        """Not to be read until a person has decided."""
        self._leave(partition)
        self.halted[partition] = reason
        metrics.HALTED.labels(partition.topic, partition.partition).set(1)

    def _leave(self, partition: TopicPartition) -> None:
        self.held.pop(partition, None)
        self.wanted.discard(partition)
        if self.halted.pop(partition, None) is not None:
            metrics.HALTED.labels(partition.topic, partition.partition).set(0)

    def is_current(self, batch: Batch) -> bool:
        """Whether all of the batch's partitions are held in the epochs that it was read in."""
        for span in batch.spans:
            held = self.held.get(TopicPartition(span.topic, span.partition))
            if held is None or held.epoch != span.epoch:
                return False
        return True

    def settled(self, batch: Batch) -> None:
        """The batch was applied."""
        for span in batch.spans:
            held = self.held.get(TopicPartition(span.topic, span.partition))
            if held is not None and held.epoch == span.epoch:
                held.applied_offset = span.end

    def unsettle(self, batch: Batch) -> list[TopicPartition]:
        """The batch was dropped: read again where to go on with those of its partitions that are still ours."""
        partitions = [
            partition
            for span in batch.spans
            if (partition := TopicPartition(span.topic, span.partition)) in self.held
            and self.held[partition].epoch == span.epoch
        ]
        self.give(partitions)
        return partitions
