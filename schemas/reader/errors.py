"""What can go wrong, each with a sentence that says what to do."""

from __future__ import annotations

REBUILD = "begin anew: `memberships.rebuild()`, or `Memberships.open(folder, rebuild=True)`"


class ReaderError(Exception):
    """The base of all of them."""


class StoreError(ReaderError):
    """The folder can't be used as it is."""


class StoreInUseError(StoreError):
    """Another process, or another `Memberships` of this one, has the folder open."""


class StoreFullError(StoreError):
    """The disk is full. Nothing of the records was applied; hand them over again when there is room."""


class UnexpectedRecordError(ReaderError):
    """Something was handed over that is no record of the partitions that are read: the program has a mistake."""


class UnreadableRecordError(ReaderError):
    """A record holds what no state and no event can be. Those before it were applied."""

    def __init__(self, topic: str, partition: int, offset: int, reason: str) -> None:
        super().__init__(
            f"The record at {topic}, partition {partition}, offset {offset} can't be read: {reason}. Only the "
            "deployment's relay may write to this topic; to leave such records out: "
            "`Memberships.open(folder, skip_unreadable=True)`"
        )
        self.topic, self.partition, self.offset = topic, partition, offset


class StalledError(ReaderError, TimeoutError):
    """What was waited for did not come in time."""


class RebuildNeededError(ReaderError):
    """What the store holds can't be brought up to date; it has to be read anew, which loses nothing."""


class StoreFormatError(RebuildNeededError):
    """The folder holds a store of a newer version, a damaged one, or something else."""


class TopicChangedError(RebuildNeededError):
    """The topic is not the one that was read, or records were removed from it before they were read."""


class OutdatedError(RebuildNeededError):
    """The store was not read on for so long that users may have been forgotten without a trace in the topic."""
