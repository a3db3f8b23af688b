"""Where a new relay goes on: after the last row that was published, once Kafka has ended all of its transactions.

The cursor tells what was committed, and what can be read is compared with it from the number on up to which that was
known: Kafka may have aborted, or left undecided, a part of a transaction that it has called committed.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Set
from dataclasses import replace
from typing import Any, NamedTuple

from schemas.state import SPEC as STATE
from schemas.topics import Topic, topic_name
from worker.errors import Unavailable
from worker.journal import cursor
from worker.journal.cursor import Cursor, last_cursor
from worker.journal.encode import TOPICS, Event
from worker.journal.readable import Readable, readable
from worker.kafka import clients as kafka
from worker.kafka.undecided import Undecided, abort, wait_for_ends
from worker.observability import metrics
from worker.observability.logs import logger
from worker.postgres.session import Session
from worker.settings import Settings

log = logger(__name__)

REPLICATED_SECONDS_MAX = 0.5
"""What is undecided for longer, once the producer has initialised its transactions, nobody will end but the relay."""
COMPARED_ROWS_MAX = 200_000
"""Rows before the cursor that are compared with what can be read, at most."""
PLACES_NAMED_MAX = 5
Leading = Callable[[Coroutine[Any, Any, Any]], Coroutine[Any, Any, Any]]
"""Does work outside of the leader's session, as `Elected.leading`."""


class Beginning(NamedTuple):
    """Where to read the journal on, and what of it is in Kafka already."""

    position: Cursor
    """Rows after it are read."""
    committed: Cursor
    """The last cursor in Kafka, from which on cursors move."""
    readable: Set[int] = frozenset()
    """Numbers after the position of events that can be read."""
    unknown: Set[kafka.TopicPartition] = frozenset()
    """Partitions of which Kafka does not tell: what the cursor says of them is believed."""
    is_anew: bool = False
    """Whether a person said so; Kafka is to be told before anything else."""

    @property
    def settled(self) -> int:
        """Up to this number all can be read for good, or is taken for that."""
        return self.committed.sequence if self.committed.settled is None else self.committed.settled

    @property
    def last(self) -> int:
        """After this number all is as usual."""
        return max(self.committed.sequence, max(self.readable, default=0))

    def lacks(self, event: Event, place: kafka.TopicPartition) -> bool:
        """Whether the event is still to be published there."""
        if event.sequence in self.readable:
            return False
        return event.sequence > self.committed.sequence or place not in self.unknown


class Resume:
    """Looks at Kafka over connections of its own, for as long as the relay leads."""

    def __init__(
        self, settings: Settings, producer: kafka.AIOKafkaProducer, partitions: Mapping[str, int], leading: Leading
    ) -> None:
        self._settings, self._producer, self._leading = settings, producer, leading
        self._event_topics = {topic_name(settings.topic_prefix, topic) for topic in TOPICS - {Topic.REPLIES}}
        self._state_topic = topic_name(settings.topic_prefix, STATE.topic)
        self._positions_topic = topic_name(settings.topic_prefix, Topic.RELAY_POSITIONS)
        written = (self._event_topics | {self._state_topic}) & partitions.keys()
        self._places = [kafka.TopicPartition(self._positions_topic, 0)]
        self._places += [
            kafka.TopicPartition(topic, number) for topic in written for number in range(partitions[topic])
        ]
        self._consumer = kafka.reader(settings)
        self._is_open = False

    async def close(self) -> None:
        """Leave Kafka."""
        await kafka.abandon(self._consumer.stop())

    async def begin(self, session: Session, journal_id: str) -> Beginning:
        """Where to go on; raises RelayHalted where Kafka and PostgreSQL contradict each other, and Unavailable."""
        undecided = await self._leading(self._end_all())
        row = await session.row("relay_read")
        if row["restart_at"] is not None:
            return await self._begin_anew(session, row["restart_at"], row["head_sequence"])
        found = await self._found(session)
        committed = found.committed
        if any(place.topic == self._state_topic for place in undecided.spans):
            committed = committed._replace(place=None)  # what a snapshot has written there may be gone
        beginning = Beginning(committed, committed)
        after = max(committed.known, committed.sequence - COMPARED_ROWS_MAX)
        if found.oldest is None or found.oldest > after + 1:
            return beginning  # so old that retention has dropped the rows
        known = [
            place for place in self._places if place.topic in self._event_topics and place not in undecided.unknown
        ]
        read = await self._leading(self._readable(known, journal_id, after))
        if read is None:
            return beginning
        beginning = beginning._replace(readable=read.numbers, unknown=read.unknown.union(undecided.unknown))
        lacking = committed.sequence - after - sum(number <= committed.sequence for number in read.numbers)
        if lacking <= 0:
            return beginning
        return beginning._replace(position=(await cursor.at(session, after))._replace(place=committed.place))

    async def _begin_anew(self, session: Session, sequence: int, head: int) -> Beginning:
        """Where a person said; what is published from there on may have been before, and is again."""
        log.warning("going on from where a person said", sequence=sequence)
        position = (await cursor.at(session, sequence))._replace(again=head)
        return Beginning(position, position, is_anew=True)

    async def _found(self, session: Session) -> cursor.Places:
        """Where all stands, without contradictions."""
        found = await cursor.places(session, await self._leading(last_cursor(self._settings, self._positions_topic)))
        if found.committed.sequence < found.noted:  # committed, Kafka has said: perhaps it was, and can't be read
            asking = last_cursor(self._settings, self._positions_topic, isolation_level="read_uncommitted")
            written = await self._leading(asking)
            if written is not None and written.sequence >= found.noted:
                found = replace(found, noted=found.committed.sequence)
        cursor.check(found)
        return found

    async def is_settled(self) -> bool:
        """Whether Kafka has ended all that this relay has committed; False where it does not tell of each partition.

        Raises Unavailable where it leaves something undecided: a new relay will end that.
        """
        undecided = await self._leading(self._undecided(self._settings.kafka_seconds_max))
        if undecided.spans:
            raise Unavailable(
                f"Kafka at {self._settings.kafka_bootstrap_servers} has called a transaction of the relay committed, "
                f"and has not ended it on {_named(undecided.places)}"
            )
        return not undecided.unknown

    async def _end_all(self) -> Undecided:
        """Returns what had no end."""
        undecided = await self._undecided(REPLICATED_SECONDS_MAX)
        if not undecided.spans:
            return undecided
        metrics.RELAY_UNDECIDED.inc(len(undecided.spans))
        names = _named(undecided.places)
        log.warning("Kafka has left transactions of the relay undecided: they are aborted", partitions=names)
        await kafka.bounded(abort(self._producer, undecided.spans), self._settings.kafka_seconds_max)
        left = (await self._undecided(self._settings.kafka_seconds_max)).places
        if left:
            raise Unavailable(
                f"Kafka at {self._settings.kafka_bootstrap_servers} has a transaction on {_named(left)} that the relay "
                "can't end, and subscribers read nothing after it. If another producer writes there, stop it; else "
                "`kafka-transactions.sh … find-hanging` and `… abort` end it"
            )
        return undecided

    async def _undecided(self, seconds: float) -> Undecided:
        if not self._is_open:
            await kafka.bounded(self._consumer.start(), self._settings.kafka_seconds_max)
            self._consumer.assign(self._places)  # for what brokers tell of them; nothing is fetched
            self._consumer.pause(*self._places)
            self._is_open = True
        return await wait_for_ends(self._consumer, self._places, seconds)

    async def _readable(self, places: list[kafka.TopicPartition], journal_id: str, after: int) -> Readable | None:
        """None where this principal may not read."""
        try:
            return await readable(self._settings, places, journal_id, after)
        except kafka.TopicAuthorizationFailedError as error:
            log.warning(
                "the worker may not read its own events, so it can't compare them with what it has published: give it "
                "the right Read on the topics of events",
                topics=str(error),
            )
            return None


def _named(places: list[kafka.TopicPartition]) -> str:
    named = ", ".join(f"{place.topic}:{place.partition}" for place in places[:PLACES_NAMED_MAX])
    more = len(places) - PLACES_NAMED_MAX
    return f"{named} and {more} more" if more > 0 else named
