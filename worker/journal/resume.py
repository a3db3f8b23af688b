"""Where a new relay goes on: after the last row that was published, once Kafka has ended all transactions of the relay.

What counts is what can be read. Kafka may have told no partition, or not all of them, how a transaction has ended. What
has no end is aborted, and what was written up to the cursor, and can't be read, is published again. A relay that runs
knows that its own transactions were committed: it has what has no end committed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Set
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, Literal

from schemas.state import SPEC as STATE
from schemas.topics import Topic, topic_name
from worker.errors import Unavailable
from worker.journal import cursor
from worker.journal.cursor import Cursor, Place, Settled, last_cursor
from worker.journal.encode import TOPICS
from worker.journal.readable import Events
from worker.kafka import clients as kafka
from worker.kafka.facts import high_watermarks, offsets
from worker.kafka.ranges import Range
from worker.kafka.undecided import Undecided, end, wait_for_ends, watch
from worker.kafka.words import named
from worker.observability import metrics
from worker.observability.logs import logger
from worker.postgres.session import Session
from worker.settings import Settings

log = logger(__name__)

REPLICATED_SECONDS_MAX = 0.5
"""What has no end for longer, once the producer has initialised its transactions, nobody will end but the relay."""
SETTLED_SECONDS_MAX = 2.0
"""So long a running relay waits for an end before it brings it about, and after that, s."""
COMPARED_ROWS_MAX = 200_000
"""Rows before the cursor that are compared with what can be read, at most."""
UNCOMPARED = "the worker can't read its own events, and so not compare them with what it has published"
Leading = Callable[[Coroutine[Any, Any, Any]], Coroutine[Any, Any, Any]]
"""Does work outside of the leader's session, as `Elected.leading`."""
Tell = Callable[[Cursor], Awaitable[None]]
"""Writes the cursor alone."""


@dataclass(frozen=True)
class Beginning:
    """Where to read the journal on, and what of it is in Kafka already."""

    sequence: int
    """Rows after it are read, …"""
    place: Place | None
    """… and a snapshot of states goes on there."""
    committed: Cursor
    """The last cursor in Kafka."""
    lacking: Set[int] = frozenset()
    """Numbers up to the cursor of events that were written and can't be read."""
    readable: Set[int] = frozenset()
    """Numbers after the cursor of events that can be read."""
    untold: Set[kafka.TopicPartition] = frozenset()
    """Partitions of which Kafka did not tell: nothing may be written there before somebody has looked."""

    @cached_property
    def last(self) -> int:
        """After this number all is as usual."""
        return max(self.committed.sequence, max(self.readable, default=0))

    def lacks(self, sequence: int) -> bool:
        """Whether the event of that number is still to be published."""
        return sequence in self.lacking if sequence <= self.committed.sequence else sequence not in self.readable


class Resume:
    """Looks at what Kafka has made of the relay's transactions, and ends them, for as long as the relay leads."""

    def __init__(
        self,
        settings: Settings,
        producer: kafka.AIOKafkaProducer,
        partitions: Mapping[str, int],
        journal_id: str,
        leading: Leading,
    ) -> None:
        self._settings, self._producer, self._leading = settings, producer, leading
        self._journal_id = journal_id
        events = {topic_name(settings.topic_prefix, topic) for topic in TOPICS - {Topic.REPLIES}}
        self._state_topic = topic_name(settings.topic_prefix, STATE.topic)
        self._has_states = self._state_topic in partitions
        self._positions = kafka.TopicPartition(topic_name(settings.topic_prefix, Topic.RELAY_POSITIONS), 0)
        written = {topic: partitions[topic] for topic in (events | {self._state_topic}) & partitions.keys()}
        self._places = [kafka.TopicPartition(topic, number) for topic in written for number in range(written[topic])]
        self._of_events = {place for place in self._places if place.topic in events}
        self._places.append(self._positions)
        self._consumer = kafka.reader(settings)
        self._is_open = False
        self._untold: Set[kafka.TopicPartition] = frozenset()
        self._said: list[kafka.TopicPartition] = []

    async def close(self) -> None:
        """Leave Kafka."""
        await kafka.abandon(self._consumer.stop())

    async def begin(self, session: Session, tell: Tell) -> Beginning:
        """Where to go on; raises RelayHalted where Kafka and PostgreSQL contradict each other, and Unavailable.

        How far back there is something to mend is written before any event is aborted, so that who is interrupted in it
        leaves that to the next relay.
        """
        undecided = await self._leading(self._look(REPLICATED_SECONDS_MAX, self._settings.kafka_seconds_max))
        self._untold = undecided.untold
        if self._positions in self._untold:
            raise Unavailable(f"Kafka at {self._settings.kafka_bootstrap_servers} does not tell of {self._positions}")
        restart_at = (await session.row("relay_read"))["restart_at"]
        hidden = set() if restart_at is not None else await self._leading(self._hidden(undecided))
        if self._positions in undecided.spans:
            await self._abort([self._positions])
        if restart_at is not None:
            beginning = await self._begin_anew(session, restart_at)
        else:
            beginning = await self._compared(session, await self._committed(session, hidden, undecided), hidden)
        if undecided.spans or restart_at is not None:
            await tell(beginning.committed)
            await self._abort([place for place in undecided.places if place != self._positions])
            await self._require_ends()
        return beginning

    async def _begin_anew(self, session: Session, sequence: int) -> Beginning:
        """Where a person said; what was published from there on is published again."""
        log.warning("going on from where a person said", sequence=sequence)
        written = await self._written()
        again = 0 if written is None or written.sequence <= sequence else written.sequence
        made = (await cursor.at(session, sequence))._replace(settled=Settled(sequence), again=again)
        return Beginning(sequence, None, made, untold=self._untold)

    async def is_settled(self) -> bool:
        """Whether Kafka has ended all that this relay has committed; what has no end is committed.

        Raises Unavailable where it tells of partitions of which it had not: a new relay compares first.
        """
        found = await self._leading(self._look(SETTLED_SECONDS_MAX))
        if left := [place for place in found.places if place not in self._untold]:
            if left != self._said:
                self._said = left
                log.warning(
                    "Kafka has left transactions of the relay undecided: they are committed", places=named(left)
                )
            await self._leading(self._ended(left, "commit"))
            found = await self._leading(self._look(SETTLED_SECONDS_MAX))
        if told := self._untold - found.untold:
            raise Unavailable(f"Kafka tells of {named(told)} again: it is looked what can be read there")
        return not found.spans and not found.untold

    async def _look(self, seconds: float, untold_seconds: float = 0.0) -> Undecided:
        if not self._is_open:
            await kafka.bounded(self._consumer.start(), self._settings.kafka_seconds_max)
            await kafka.bounded(watch(self._consumer, self._places), self._settings.kafka_seconds_max)
            self._is_open = True
        return await wait_for_ends(self._consumer, self._places, seconds, untold_seconds)

    async def _hidden(self, undecided: Undecided) -> set[int]:
        """The numbers of events that have no end."""
        ranges = {place: Range(*undecided.spans[place]) for place in undecided.places if place in self._of_events}
        if not ranges:
            return set()
        try:
            return await Events(self._settings, self._journal_id, "read_uncommitted").between(ranges)
        except kafka.TopicAuthorizationFailedError as error:
            raise Unavailable(
                f"Kafka has left transactions of the relay undecided on {named(ranges)}, and the worker may not read "
                f"there what is to be published again: give it the right Read on the topics of events ({error})"
            ) from error

    async def _abort(self, places: list[kafka.TopicPartition]) -> None:
        if places:
            log.warning("Kafka has left transactions of the relay undecided: they are aborted", places=named(places))
            await self._leading(self._ended(places, "abort"))

    async def _ended(self, places: list[kafka.TopicPartition], how: Literal["commit", "abort"]) -> None:
        await kafka.bounded(end(self._producer, places, how), self._settings.kafka_seconds_max)
        metrics.RELAY_UNDECIDED.inc(len(places))

    async def _require_ends(self) -> None:
        seconds = self._settings.kafka_seconds_max
        found = await self._leading(self._look(seconds, seconds))
        if lost := found.untold - self._untold:
            raise Unavailable(
                f"Kafka at {self._settings.kafka_bootstrap_servers} does not tell of {named(lost)} any more, where "
                "transactions of the relay were aborted"
            )
        if left := [place for place in found.places if place not in self._untold]:
            raise Unavailable(
                f"Kafka at {self._settings.kafka_bootstrap_servers} has a transaction on {named(left)} that the relay "
                "can't end, and subscribers read nothing after it. It may be another producer's, who is not to write "
                "there, or one of the relay's of more than a week ago: `kafka-transactions.sh … find-hanging` and "
                "`… abort` end it"
            )

    async def _committed(self, session: Session, hidden: Set[int], undecided: Undecided) -> Cursor:
        """The last cursor, with what is known to be settled now that these events have no end."""
        last = await self._leading(last_cursor(self._settings, self._positions.topic)) or Cursor()
        found = await cursor.places(session, last)
        if last.sequence < found.noted:  # it was committed, Kafka has said: perhaps it was, and can't be read
            written = await self._written()
            if written is not None and written.sequence >= found.noted:
                await session.fetch("relay_mark", last.sequence)  # before another cursor is the last that was written
                found = replace(found, noted=last.sequence)
        cursor.check(found)
        settled = last.known
        looked_at = undecided.spans.keys() | undecided.untold
        is_doubtful = last.settled is None and any(place.topic == self._state_topic for place in looked_at)
        if is_doubtful or not self._has_states:  # nobody knows how much of them is lost: a snapshot has all
            settled, last = settled._replace(place=None), last._replace(place=None)
        lowest = min(hidden, default=settled.sequence + 1) - 1
        return last._replace(settled=settled._replace(sequence=min(settled.sequence, lowest)))

    async def _written(self) -> Cursor | None:
        """The last cursor that was ever written, whatever became of it."""
        asking = last_cursor(self._settings, self._positions.topic, isolation_level="read_uncommitted")
        written: Cursor | None = await self._leading(asking)
        return written

    async def _compared(self, session: Session, committed: Cursor, hidden: Set[int]) -> Beginning:
        settled = committed.known
        after = max(settled.sequence, committed.sequence - COMPARED_ROWS_MAX)
        if after > settled.sequence:
            log.warning("not all that may lack is compared with what can be read", from_sequence=settled.sequence + 1)
        if committed.again > committed.sequence:  # what can be read may be from before
            return Beginning(committed.sequence, committed.place, committed, untold=self._untold)
        readable, written = await self._leading(self._numbers(after, committed.sequence))
        lacking = {number for number in (hidden | written) - readable if number <= committed.sequence}
        ahead = {number for number in readable if number > committed.sequence}
        if ahead:  # the journal must have those rows
            found = await cursor.places(session, Cursor(max(ahead)))
            cursor.check(replace(found, noted=min(found.noted, max(ahead))))
        sequence = min(committed.sequence, min(lacking, default=committed.sequence + 1) - 1)
        if self._has_states and not committed.is_settled:
            # states may be lost, too: those of all rows since then are written
            sequence = min(after, sequence)
        if sequence < committed.sequence:
            oldest = (await session.row("relay_read"))["oldest_sequence"]
            sequence = committed.sequence if oldest is None else min(committed.sequence, max(sequence, oldest - 1))
        place = None if committed.place is None else settled.place
        return Beginning(sequence, place, committed, lacking, ahead, self._untold)

    async def _numbers(self, after: int, committed: int) -> tuple[set[int], set[int]]:
        """Of events after that number, those that can be read, and those up to the cursor that were ever written."""
        asks = [self._consumer.beginning_offsets, self._consumer.end_offsets, partial(high_watermarks, self._consumer)]
        places, seconds = sorted(self._of_events - self._untold), self._settings.kafka_seconds_max
        begins, stable, marks = [await offsets(ask, places, seconds) for ask in asks]
        known = begins.keys() & stable.keys() & marks.keys()
        if len(known) < len(places):
            raise Unavailable(f"Kafka does not tell the offsets of {named(set(places) - known)}")
        try:
            events = Events(self._settings, self._journal_id, "read_committed")
            readable = await events.after(after, {place: Range(begins[place], stable[place]) for place in known})
            if after >= committed:  # nothing is in question
                return readable, set()
            events = Events(self._settings, self._journal_id, "read_uncommitted")
            return readable, await events.after(after, {place: Range(begins[place], marks[place]) for place in known})
        except kafka.TopicAuthorizationFailedError as error:
            log.warning(f"{UNCOMPARED}: it needs the right Read on the topics of events", error=str(error))
        except kafka.CorruptRecordException as error:
            log.warning(f"{UNCOMPARED}: there is something that nobody can read", error=str(error))
        return set(), set()
