"""The order in which records must come, and how one tells that a topic is another one than before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from schemas.reader.errors import REBUILD, OutdatedError, ReaderError, TopicChangedError, UnexpectedRecordError
from schemas.reader.records import Partition, Taken
from schemas.reader.said import EVENTS_TOPIC, STATE_TOPIC
from schemas.reader.store import Place

P = TypeVar("P", bound=Partition)

NOWHERE = Place(0, -1, b"", 0)
"""Of a partition of which nothing was read."""


def require_topics(partitions: Iterable[Partition], places: Mapping[Partition, Place]) -> None:
    """Raises ReaderError where these are not the topics of one deployment, or not all that the store was read from."""
    topics = {topic for topic, _ in partitions}
    states = {topic for topic in topics if topic.endswith(STATE_TOPIC)}
    prefixes = {topic.removesuffix(STATE_TOPIC).removesuffix(EVENTS_TOPIC) for topic in topics}
    strange = [topic for topic in topics if not topic.endswith((STATE_TOPIC, EVENTS_TOPIC))]
    if strange or len(states) != 1 or len(prefixes) != 1:
        raise ReaderError(
            f"The reader takes all partitions of a deployment's topic …{STATE_TOPIC}, and of its topic …{EVENTS_TOPIC} "
            f"if you like, not those of {', '.join(sorted(topics)) or 'no topic'}"
        )
    missing = {(topic, number) for topic, number in places if topic not in topics and topic.endswith(STATE_TOPIC)}
    missing |= {partition for partition in places if partition[0] in topics} - set(partitions)
    if missing:
        topic, number = min(missing)
        raise TopicChangedError(
            f"The store was read from partition {number} of {topic}, too, which is not among those to be read: name "
            f"all partitions; if the topic was made anew, {REBUILD}"
        )


def require_fresh(read_at: float, now: float, delete_retention_seconds: float) -> None:
    """Raises OutdatedError where tombstones may have gone that were never read."""
    away = now - read_at
    if read_at and away > delete_retention_seconds:
        raise OutdatedError(
            f"The store was last read on {away / 3600:,.1f} h ago, and Kafka keeps the tombstones of forgotten users "
            f"for {delete_retention_seconds / 3600:,.1f} h: {REBUILD}"
        )


def seeks(
    beginnings: Mapping[P, int], ends: Mapping[Partition, int], places: Mapping[Partition, Place]
) -> dict[P, int]:
    """Where to begin in each partition: at the last record that was read, so that it can be compared."""
    found = {}
    for partition, beginning in beginnings.items():
        place = places.get(partition, NOWHERE)
        if place is NOWHERE:
            found[partition] = beginning
            continue
        name = f"{partition[0]}, partition {partition[1]}"
        if place.next_offset > ends.get(partition, place.next_offset):
            raise TopicChangedError(
                f"{name} ends at {ends[partition]}, but was read up to {place.next_offset}: the topic was made anew, "
                f"or Kafka has lost its end; {REBUILD}"
            )
        if place.next_offset < beginning:
            raise TopicChangedError(
                f"{name} begins at {beginning}, but was read up to {place.next_offset}: what lies between was removed "
                f"before it was read; {REBUILD}"
            )
        found[partition] = max(place.last_offset, beginning)
    return found


class Reading:
    """One batch: what comes next in each partition, from where the store is."""

    def __init__(self, partitions: Iterable[Partition], places: Mapping[Partition, Place]) -> None:
        self.places: dict[Partition, Place] = {}
        """Where the batch leads to, in the partitions that it has records of."""
        self._partitions = partitions
        self._before = places
        self._last: dict[Partition, Taken] = {}

    def is_new(self, record: Taken, first_offset: int | None) -> bool:
        """Whether the record was not applied before; from `first_offset` on it may well come again.

        Raises TopicChangedError for a record that was read long ago, and for another one in the place of the last.
        """
        place = self.place(record.partition)
        if record.offset >= place.next_offset:
            return True
        name = f"{record.partition[0]}, partition {record.partition[1]}, offset {record.offset}"
        if record.offset == place.last_offset and place.fingerprint not in (b"", record.fingerprint()):
            raise TopicChangedError(f"{name} holds another record than before: the topic was made anew; {REBUILD}")
        if record.offset < (place.last_offset if first_offset is None else first_offset):
            raise TopicChangedError(
                f"{name} was handed over although the partition was read up to {place.next_offset}: either the topic "
                f"was made anew, then {REBUILD}; or the consumer does not seek to what `begin` returns"
            )
        return False

    def passed(self, record: Taken, sequence: int | None) -> None:
        """The record may be applied; raises TopicChangedError where the numbers of events go back.

        Those of states may, after `segmentation reset relay`: all states were written again then.
        """
        before = self.place(record.partition)
        if record.partition[0].endswith(EVENTS_TOPIC) and sequence is not None and sequence < before.sequence:
            raise TopicChangedError(
                f"{record.partition[0]}, partition {record.partition[1]}, offset {record.offset} has the sequence "
                f"{sequence} after {before.sequence}: the deployment's database was set back, and events of before can "
                f"no longer be told from those after it. Read the states alone, and {REBUILD}"
            )
        self.places[record.partition] = Place(record.offset + 1, record.offset, b"", sequence or before.sequence)
        self._last[record.partition] = record

    def place(self, partition: Partition) -> Place:
        """How far the partition is."""
        if partition not in self._partitions:
            raise UnexpectedRecordError(
                f"A record of {partition[0]}, partition {partition[1]} was handed over, which `begin` was not told of"
            )
        return self.places.get(partition) or self._before.get(partition, NOWHERE)

    def marked(self) -> dict[Partition, Place]:
        """The places with the fingerprints of their last records."""
        return {
            partition: Place(place.next_offset, place.last_offset, self._last[partition].fingerprint(), place.sequence)
            for partition, place in self.places.items()
        }
