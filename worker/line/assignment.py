"""The partitions that this worker was given, and how far each of them is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from worker.kafka.clients import TopicPartition
from worker.line.batch import Batch


@dataclass(slots=True)
class Held:
    """A partition with a position: `next_offset` is the first offset that is in no batch yet."""

    epoch: int
    next_offset: int
    applied_offset: int
    topic_id: UUID | None = None
    newest_ms: int = 0


class Assignment:
    """Every partition is wanted (to be acquired), held, or halted with the reason that a person must deal with."""

    def __init__(self) -> None:
        self.wanted: set[TopicPartition] = set()
        self.held: dict[TopicPartition, Held] = {}
        self.halted: dict[TopicPartition, str] = {}
        self.missing: list[str] = []
        """The topics of commands that Kafka does not have."""
        self.joined = False
        """Whether the group has given us our share, though it be none."""

    def give(self, partitions: Iterable[TopicPartition]) -> None:
        """The group gave us these, or what we believed of them was wrong: their positions must be read."""
        for partition in partitions:
            self.held.pop(partition, None)
            self.halted.pop(partition, None)
            self.wanted.add(partition)

    def take(self, partitions: Iterable[TopicPartition]) -> None:
        """They are no longer ours."""
        for partition in partitions:
            self.held.pop(partition, None)
            self.halted.pop(partition, None)
            self.wanted.discard(partition)

    def hold(self, partition: TopicPartition, epoch: int, next_offset: int, topic_id: UUID | None = None) -> None:
        """Ready to be read from `next_offset`, in the topic of that id."""
        self.wanted.discard(partition)
        self.halted.pop(partition, None)
        self.held[partition] = Held(epoch, next_offset, next_offset, topic_id)

    def halt(self, partition: TopicPartition, reason: str) -> None:
        """Not to be read until a person has decided."""
        self.held.pop(partition, None)
        self.wanted.discard(partition)
        self.halted[partition] = reason

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

    def unsettle(self, batch: Batch) -> None:
        """The batch was dropped as another worker's: read again where to go on, if they are still ours."""
        self.give(
            partition
            for span in batch.spans
            if (partition := TopicPartition(span.topic, span.partition)) in self.held
            and self.held[partition].epoch == span.epoch
        )
