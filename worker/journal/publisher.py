"""One Kafka transaction of the relay: events by partition, in order, and the cursor with them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence

from worker.errors import Mistaken, Unavailable
from worker.journal.encode import Event
from worker.journal.fit import Limits, fitted
from worker.journal.mistaken import REASON_CHARACTERS_MAX
from worker.journal.partitioners import HASHES
from worker.journal.state import Outgoing
from worker.kafka import clients as kafka
from worker.kafka.words import named
from worker.observability.mistakes import contained
from worker.settings import Settings

CURSOR_KEY = b"relay"
Place = tuple[str, int]
"""A topic and one of its partitions."""


class Publisher:
    """Writes over one producer, which is thrown away after any failure."""

    def __init__(
        self, settings: Settings, producer: kafka.AIOKafkaProducer, positions_topic: str, partitions: dict[str, int]
    ) -> None:
        self._settings, self._producer = settings, producer
        self._cursor_place: Place = (positions_topic, 0)
        self._partitions = partitions
        self._hash = HASHES[settings.event_partitioner]
        self._limits = Limits(settings, partitions)

    async def publish(self, events: Sequence[Outgoing], cursor: bytes) -> None:
        """The events and the cursor after them, all of it or nothing; events too large for their topics are shortened.

        Raises Unavailable, which names the partitions that hold it up, or the rows that Kafka refuses.
        """
        await self._limits.ask(self._producer)
        events, filled = self._filled(events)
        waiting = {self._cursor_place, *filled}
        try:
            async with asyncio.timeout(self._settings.kafka_seconds_max):
                await self._producer.begin_transaction()
                # a batch that was refused does not fail the transaction: each delivery is awaited
                async with asyncio.TaskGroup() as deliveries:
                    deliveries.create_task(self._deliver_cursor(cursor, waiting))
                    for place, builders in filled.items():
                        deliveries.create_task(self._deliver(place, builders, events, waiting))
                await self._producer.commit_transaction()
        except TimeoutError:
            raise Unavailable(self._overdue(events, waiting)) from None
        except BaseExceptionGroup as errors:
            first = errors.exceptions[0]
            raise first from first.__cause__

    def _filled(self, events: Sequence[Outgoing]) -> tuple[Sequence[Outgoing], dict[Place, list[kafka.BatchBuilder]]]:
        """The events as their topics take them, and the batches of them."""
        bytes_max = self._limits.bytes_max
        try:
            with contained(f"{rows_named(events)} can't be published", kafka.KafkaError):
                events = fitted(events, bytes_max)
                return events, batches(self._producer, self._partitions, events, self._hash, bytes_max)
        except Mistaken as error:
            raise Unavailable(
                f"{rows_named(events)} can't be published, by a mistake of this version of the worker: "
                f"{str(error)[:REASON_CHARACTERS_MAX]}. Commands are decided on, but nothing from there on is "
                "published; fewer rows are tried next, down to the one concerned. Upgrade the worker, and it goes on "
                "by itself; or leave out the row that is named alone, which then is never published: stop all "
                "workers, and run `segmentation reset relay --to` with its number"
            ) from error

    async def _deliver_cursor(self, cursor: bytes, waiting: set[Place]) -> None:
        topic, partition = self._cursor_place
        await self._producer.send_and_wait(topic, cursor, key=CURSOR_KEY, partition=partition)
        waiting.discard(self._cursor_place)

    async def _deliver(
        self, place: Place, builders: Sequence[kafka.BatchBuilder], events: Sequence[Outgoing], waiting: set[Place]
    ) -> None:
        """One batch after the other: after a refusal aiokafka would let the next one wait for ever."""
        topic, partition = place
        try:
            for builder in builders:
                await (await self._producer.send_batch(builder, topic, partition=partition))
        except kafka.KafkaError as error:
            concerned = [event for event in events if self.place(event) == place]
            raise Unavailable(
                f"Kafka at {self._settings.kafka_bootstrap_servers} refuses {rows_named(concerned)} for "
                f"{topic}:{partition}: {str(error) or type(error).__name__}"
            ) from error
        waiting.discard(place)

    def place(self, event: Outgoing) -> Place:
        """Where it goes."""
        return place_of(event, self._partitions, self._hash)

    def _overdue(self, events: Sequence[Outgoing], waiting: set[Place]) -> str:
        """What was not done in time, and where it waits."""
        settings = self._settings
        lost = [place for place in waiting if kafka.leaderless(self._producer, *place)]
        if lost:
            reason = f"no broker leads {named(lost)}"
        elif waiting:
            reason = f"no answer for {named(waiting)}"
        else:
            reason = "no answer to the commit"
        return (
            f"Kafka at {settings.kafka_bootstrap_servers} has not taken {rows_named(events)} within "
            f"{settings.kafka_seconds_max:g} s: {reason}"
        )


def place_of(event: Outgoing, partitions: dict[str, int], hash_of: Callable[[bytes], int]) -> Place:
    """Where an event goes."""
    return event.topic, hash_of(event.key or b"") % partitions[event.topic]


def batches(
    producer: kafka.AIOKafkaProducer,
    partitions: dict[str, int],
    events: Iterable[Outgoing],
    hash_of: Callable[[bytes], int],
    bytes_max: Mapping[str, int],
) -> dict[Place, list[kafka.BatchBuilder]]:
    """Hand-filled batches by topic and partition, in order; topics that take smaller ones than usual are named."""
    filled: dict[Place, list[kafka.BatchBuilder]] = {}
    for event in events:
        place = place_of(event, partitions, hash_of)
        builders = filled.get(place)
        if builders is None:
            builders = filled[place] = [kafka.batch(producer, bytes_max.get(event.topic))]
        arguments = {"timestamp": event.timestamp_ms, "key": event.key, "value": event.value, "headers": event.headers}
        if builders[-1].append(**arguments) is None:
            builders.append(kafka.batch(producer, bytes_max.get(event.topic)))
            if builders[-1].append(**arguments) is None:
                raise RuntimeError("an empty batch takes any event")
    return filled


def rows_named(events: Sequence[Outgoing]) -> str:
    """The journal's rows that the events are of, or whose states these are, and their size."""
    if not events:
        return "the relay's position"
    of_rows = [event for event in events if isinstance(event, Event)]
    size = f"{sum(len(event.value or b'') for event in of_rows or events):,} bytes"
    if not of_rows:
        return f"the states of {len(events)} users ({size})"
    events = of_rows
    first, last = events[0].sequence, events[-1].sequence
    if first == last:
        return f"the journal's row {first} ({size})"
    return f"{len(events)} of the journal's rows {first} to {last} ({size})"
