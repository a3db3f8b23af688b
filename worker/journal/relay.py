"""Publishes the journal: reads on from its cursor, and writes events and cursor in one Kafka transaction.

Reading is done over the session that holds the leader's lock; writing is fenced by the transactional id. The cursor is
read only after the producer was initialised, which has ended whatever a predecessor left unfinished.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from zlib import crc32

import orjson

from schemas.topics import Topic, topic_name
from worker.errors import Fenced, RelayHalted, Unavailable
from worker.journal.encode import Encoder, Event
from worker.kafka import clients as kafka
from worker.leadership.election import Elected
from worker.observability import metrics
from worker.observability.logs import logger
from worker.observability.progress import Progress
from worker.postgres.session import Database, Session
from worker.settings import Settings

log = logger(__name__)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MARK_SECONDS = 0.1
"""How often PostgreSQL's copy of the cursor is written."""
CURSOR_KEY = b"relay"


class Relay(Elected):
    """The one relay of a deployment."""

    name = "relay"
    lock = 1

    def __init__(self, settings: Settings, database: Database, progress: Progress) -> None:
        super().__init__(database, progress)
        self._settings = settings
        self._transactional_id = f"{settings.topic_prefix}.relay"
        self._positions_topic = topic_name(settings.topic_prefix, Topic.RELAY_POSITIONS)
        self._journaled = asyncio.Event()
        self._marked_at = 0.0

    def notify(self) -> None:
        """Tell the relay that this process has journaled something."""
        self._journaled.set()

    async def lead(self, session: Session) -> None:
        """Publish until told to stop, and then to the journal's end."""
        producer = kafka.transactional_producer(self._settings, self._transactional_id)
        try:
            metrics.RELAY_LEADS.set(1)
            with kafka.translated(self._settings):
                await self.leading(kafka.bounded(producer.start(), self._settings.kafka_seconds_max))
                await self._publish_all(session, producer)
        except Unavailable as error:
            if isinstance(error.__cause__, kafka.ProducerFenced):
                raise Fenced("another relay has taken over") from error
            raise
        finally:
            metrics.RELAY_LEADS.set(0)
            await kafka.abandon(producer.stop())

    async def _publish_all(self, session: Session, producer: kafka.AIOKafkaProducer) -> None:
        head = await session.row("journal_head")
        encoder = Encoder(session, self._settings, head["id"])
        partitions = {topic: len(await producer.partitions_for(topic)) for topic in encoder.topics}
        sequence = await self._cursor(session, producer, head["sequence"])
        since = EPOCH
        log.info("relaying", after_sequence=sequence)
        while True:
            self._journaled.clear()
            rows = await session.fetch("journal_read", sequence, since, self._settings.relay_rows_max)
            if not rows:
                await self._mark(session, sequence)
                if self.stopping.is_set():
                    return
                await self._wait_for_rows(session, sequence)
                continue
            if rows[0]["sequence"] != sequence + 1 or rows[-1]["sequence"] != sequence + len(rows):
                raise RelayHalted(f"The journal has a gap after {sequence}: the table was changed by hand")
            events = await encoder.encode(rows)
            sequence, since = rows[-1]["sequence"], rows[-1]["time"]
            await self.leading(self._publish(producer, partitions, events, sequence))
            if time.monotonic() - self._marked_at > MARK_SECONDS:
                await self._mark(session, sequence)

    async def _wait_for_rows(self, session: Session, sequence: int) -> None:
        """Until this process or another one has journaled, as far as a look every few milliseconds tells."""
        while not self.stopping.is_set():
            self._beat()
            try:
                async with asyncio.timeout(self._settings.relay_poll_ms / 1000):
                    await self._journaled.wait()
                return
            except TimeoutError:
                if (await session.row("journal_head"))["sequence"] > sequence:
                    return

    async def _publish(
        self, producer: kafka.AIOKafkaProducer, partitions: dict[str, int], events: Sequence[Event], sequence: int
    ) -> None:
        """One Kafka transaction with the events and the cursor after them; any failure ends this producer's life."""
        self._beat()
        try:
            async with asyncio.timeout(self._settings.kafka_seconds_max):
                await producer.begin_transaction()
                # a batch that was refused does not fail the transaction: each delivery is awaited
                async with asyncio.TaskGroup() as deliveries:
                    deliveries.create_task(self._deliver_cursor(producer, sequence))
                    for (topic, partition), batches in _batches(producer, partitions, events).items():
                        deliveries.create_task(_deliver(producer, topic, partition, batches))
                await producer.commit_transaction()
        except BaseExceptionGroup as errors:
            metrics.RELAY_TRANSACTIONS.labels("failed").inc()
            raise errors.exceptions[0] from errors
        except BaseException:
            metrics.RELAY_TRANSACTIONS.labels("failed").inc()
            raise
        metrics.RELAY_TRANSACTIONS.labels("committed").inc()
        metrics.RELAY_EVENTS.inc(len(events))

    async def _deliver_cursor(self, producer: kafka.AIOKafkaProducer, sequence: int) -> None:
        value = orjson.dumps({"sequence": sequence})
        await producer.send_and_wait(self._positions_topic, value, key=CURSOR_KEY, partition=0)

    async def _mark(self, session: Session, sequence: int) -> None:
        """Note the cursor in PostgreSQL too, and how much waits."""
        self._marked_at = time.monotonic()
        await session.fetch("relay_mark", sequence)

    async def _restart(self, session: Session, producer: kafka.AIOKafkaProducer, sequence: int) -> int:
        """Go on from where a person said: Kafka hears it first, so that a crash between the two repeats nothing."""
        log.warning("going on from where a person said", sequence=sequence)
        await self.leading(self._publish(producer, {}, (), sequence))
        await self._mark(session, sequence)
        return sequence

    async def _cursor(self, session: Session, producer: kafka.AIOKafkaProducer, head: int) -> int:
        """The last sequence that was published; raises RelayHalted where Kafka and PostgreSQL contradict each other."""
        stored = await session.row("relay_read")
        if stored["restart_at"] is not None:
            return await self._restart(session, producer, int(stored["restart_at"]))
        committed = await self.leading(last_cursor(self._settings, self._positions_topic))
        noted: int = stored["published_sequence"]
        if (committed or 0) < noted:
            raise RelayHalted(
                f"Kafka holds events up to {committed or 0}, but {noted} were published: Kafka has lost data, or this "
                "is another cluster. To publish the missing ones again: `segmentation reset relay --to kafka`; "
                "to go on after them: `segmentation reset relay --to database`"
            )
        if (committed or 0) > head:
            raise RelayHalted(
                f"Kafka holds events up to {committed}, but the journal ends at {head}: the database was restored to "
                "an earlier state, or it is another one. Its numbers would be given out twice: restore it to a later "
                "state, or give this deployment another SEGMENTATION_TOPIC_PREFIX"
            )
        return committed or 0


def _batches(
    producer: kafka.AIOKafkaProducer, partitions: dict[str, int], events: Sequence[Event]
) -> dict[tuple[str, int], list[kafka.BatchBuilder]]:
    """Hand-filled batches by topic and partition, in order."""
    filled: dict[tuple[str, int], list[kafka.BatchBuilder]] = {}
    for event in events:
        place = (event.topic, crc32(event.key or b"") % partitions[event.topic])
        batches = filled.get(place)
        if batches is None:
            batches = filled[place] = [producer.create_batch()]
        arguments = {"timestamp": event.timestamp_ms, "key": event.key, "value": event.value, "headers": event.headers}
        if batches[-1].append(**arguments) is None:
            batches.append(producer.create_batch())
            if batches[-1].append(**arguments) is None:
                raise RuntimeError("an empty batch takes any event")
    return filled


async def _deliver(
    producer: kafka.AIOKafkaProducer, topic: str, partition: int, batches: Sequence[kafka.BatchBuilder]
) -> None:
    """One after the other: after a refusal aiokafka would let the next one wait for ever."""
    for batch in batches:
        await (await producer.send_batch(batch, topic, partition=partition))


async def last_cursor(settings: Settings, topic: str) -> int | None:
    """The cursor that the last committed transaction wrote, or None where there never was one."""
    consumer = kafka.reader(settings)
    partition = kafka.TopicPartition(topic, 0)
    with kafka.translated(settings):
        try:
            async with asyncio.timeout(settings.kafka_seconds_max):
                await consumer.start()
                consumer.assign([partition])
                begin = (await consumer.beginning_offsets([partition]))[partition]
                end = (await consumer.end_offsets([partition]))[partition]
                span = 100
                while begin < end:
                    start = max(begin, end - span)
                    cursor = await _last_value(consumer, partition, start, end)
                    if cursor is not None or start == begin:
                        return cursor
                    span *= 10
                return None
        finally:
            await kafka.abandon(consumer.stop())


async def _last_value(
    consumer: kafka.AIOKafkaConsumer, partition: kafka.TopicPartition, start: int, end: int
) -> int | None:
    consumer.seek(partition, start)
    found = None
    while await consumer.position(partition) < end:
        for record in (await consumer.getmany(partition, timeout_ms=200)).get(partition, []):
            if record.value is not None:
                found = int(orjson.loads(record.value)["sequence"])
    return found
