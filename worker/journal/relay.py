"""Publishes the journal: reads on from its cursor, and writes events and cursor in one Kafka transaction.

Reading is done over the session that holds the leader's lock; writing is fenced by the transactional id. The cursor is
read only after the producer was initialised, which has ended whatever a predecessor left unfinished; and as Kafka does
not always keep that promise, it is looked whether it has, then and every few seconds (`resume.py`).
"""

from __future__ import annotations

import asyncio
import time
from functools import partial

from schemas.topics import Topic, topic_name
from worker.errors import Fenced, Unavailable
from worker.journal import cursor
from worker.journal.ahead import Ahead
from worker.journal.cursor import Cursor, Settled
from worker.journal.pace import Pace
from worker.journal.publisher import Publisher
from worker.journal.resume import Beginning, Resume
from worker.journal.share import Share, Shares, topics_of
from worker.kafka import clients as kafka
from worker.kafka.words import named
from worker.leadership.election import Elected, Ping
from worker.observability import metrics
from worker.observability.latency import Latency
from worker.observability.logs import logger
from worker.observability.progress import Progress
from worker.postgres.clock import Clock
from worker.postgres.locks import Role
from worker.postgres.session import Database, Session
from worker.settings import Settings

log = logger(__name__)

MARK_SECONDS = 0.1
"""How often PostgreSQL's copy of the cursor is written."""
SETTLE_SECONDS, SETTLE_SECONDS_AGAIN = 2.0, 20.0
"""How often it is looked whether Kafka has ended what was committed, and when again if that can't be told."""
READ_AHEAD_SHARE = 0.25
"""After so many of the rows that a transaction may hold, more are sure to wait: they are read while it is written."""
STOP_SECONDS_MAX = 2.0
"""So long a relay that stops looks for that; the next one does it, too."""


class Relay(Elected):
    """The one relay of a deployment."""

    name = "relay"
    role = Role.RELAY

    def __init__(
        self, settings: Settings, database: Database, progress: Progress, *, clock: Clock, latency: Latency
    ) -> None:
        super().__init__(database, progress)
        self._settings, self._clock, self._latency = settings, clock, latency
        self._transactional_id = f"{settings.topic_prefix}.relay"
        self._positions_topic = topic_name(settings.topic_prefix, Topic.RELAY_POSITIONS)
        self._pace = Pace(settings.relay_rows_max, settings.relay_bytes_max, settings.kafka_seconds_max)
        self._journaled = asyncio.Event()
        self._marked_at = self._settle_at = 0.0
        self._written = Cursor()
        """The last cursor in Kafka."""
        self._settled = Settled(0)
        """Up to where all can be read for good."""
        self._is_settled = True
        """Whether nothing was written since, but where that is."""

    def notify(self) -> None:
        """Tell the relay that this process has journaled something."""
        self._journaled.set()

    async def lead(self, session: Session) -> None:
        """Publish until told to stop, and then to the journal's end."""
        producer = kafka.transactional_producer(self._settings, self._transactional_id)
        is_sound = False
        try:
            metrics.RELAY_LEADS.set(1)
            with kafka.translated(self._settings):
                await self.leading(kafka.bounded(producer.start(), self._settings.kafka_seconds_max))
                await self._publish_all(session, producer)
            is_sound = True
        except Unavailable as error:
            if isinstance(error.__cause__, kafka.ProducerFenced):
                raise Fenced("another relay has taken over") from error
            raise
        finally:
            metrics.RELAY_LEADS.set(0)
            # after a failure nothing that it holds may go out any more, nor stay in memory
            await (kafka.abandon(producer.stop()) if is_sound else kafka.cut_off(producer))

    async def _publish_all(self, session: Session, producer: kafka.AIOKafkaProducer) -> None:
        topics = sorted(topics_of(self._settings))
        partitions = {topic: await self._count_partitions(producer, topic) for topic in topics}
        journal_id = (await session.row("journal_head"))["id"]
        shares = Shares(session, self._settings, self._pace, self._clock, journal_id, partitions, self.leading)
        publisher = Publisher(self._settings, producer, self._positions_topic, partitions)
        resume = Resume(self._settings, producer, partitions, journal_id, self.leading)
        ahead = Ahead(session, partial(self._read, shares))
        try:
            beginning = await resume.begin(session, partial(self._tell, publisher))
            self._written, self._settled = beginning.committed, beginning.committed.known
            self._is_settled, self._settle_at = self._written.is_settled and not beginning.untold, 0.0
            await self._mark(session, self._written.sequence)
            await self._publish_on(session, shares, ahead, publisher, resume, beginning)
        finally:
            try:
                await ahead.close()
                await shares.close()
            finally:
                await resume.close()

    async def _read(self, shares: Shares, position: Cursor) -> Share | None:
        self._journaled.clear()
        return await shares.after(position, is_stopping=self.stopping.is_set())

    async def _publish_on(
        self,
        session: Session,
        shares: Shares,
        ahead: Ahead,
        publisher: Publisher,
        resume: Resume,
        beginning: Beginning,
    ) -> None:
        position = Cursor(beginning.sequence, None, beginning.place)
        self._latency.published_before(self._written.sequence)
        log.info("relaying", after_sequence=position.sequence)
        while True:
            is_stopping = self.stopping.is_set()
            share = await ahead.after(position)
            if share is None:
                await self._mark(session, self._written.sequence)
                await self._settle(resume)
                if self._is_settled and self._written.settled != self._settled:
                    await self._tell(publisher, self._written._replace(settled=self._settled))
                if is_stopping:
                    return
                await self._wait(shares, position)
                continue
            position = share.cursor
            if self._is_followed(share):
                ahead.begin(position)
            await self._publish(publisher, share, beginning, ahead.ping)
            self._latency.published(position.sequence)
            if not await ahead.over():
                continue
            is_mended = position.sequence >= self._written.sequence
            if is_mended and not self.stopping.is_set():
                await self._settle(resume)
            if time.monotonic() - self._marked_at > MARK_SECONDS:
                await self._mark(session, self._written.sequence)

    async def _settle(self, resume: Resume) -> None:
        """Look whether Kafka has ended what was committed, if it is time to."""
        if not self._is_settling_due():
            return
        is_settled = False
        try:
            async with asyncio.timeout(STOP_SECONDS_MAX if self.stopping.is_set() else None):
                is_settled = await resume.is_settled()
        except TimeoutError:
            if not self.stopping.is_set():
                raise
        self._settle_at = time.monotonic() + (SETTLE_SECONDS if is_settled else SETTLE_SECONDS_AGAIN)
        if is_settled:
            self._settled, self._is_settled = Settled(self._written.sequence, self._written.place), True

    def _is_settling_due(self) -> bool:
        return not self._is_settled and (self.stopping.is_set() or time.monotonic() >= self._settle_at)

    async def _count_partitions(self, producer: kafka.AIOKafkaProducer, topic: str) -> int:
        """How many partitions Kafka has of a topic; raises Unavailable where it has none of that name."""
        try:
            asking = kafka.bounded(producer.partitions_for(topic), self._settings.kafka_seconds_max)
            return len(await self.leading(asking))
        except (TimeoutError, kafka.UnknownTopicOrPartitionError):
            raise Unavailable(
                f"Kafka at {self._settings.kafka_bootstrap_servers} does not tell of the topic {topic}: if it is "
                "missing, run `segmentation topics`"
            ) from None

    async def _wait(self, shares: Shares, position: Cursor) -> None:
        """Wait for something to do: this process says so, others are noticed by looking every few milliseconds."""
        while not self.stopping.is_set():
            self._beat()
            try:
                async with asyncio.timeout(self._settings.relay_poll_ms / 1000):
                    await self._journaled.wait()
                return
            except TimeoutError:
                if self._is_settling_due() or await shares.is_waiting(position):
                    return

    def _is_followed(self, share: Share) -> bool:
        """Whether so much was in it that more waits; no snapshot, which is told what was written, may be under way."""
        place = share.cursor.place
        is_alone = place is None or (place.stage == "done" and place == self._written.place)
        return is_alone and len(share.events) >= self._settings.relay_rows_max * READ_AHEAD_SHARE

    async def _publish(self, publisher: Publisher, share: Share, beginning: Beginning, ping: Ping) -> None:
        """Write what a share has that Kafka has not."""
        if share.events and share.events[0].sequence <= beginning.last:
            share = _lacking(share, beginning)
        if beginning.untold:
            self._require_told(publisher, share, beginning)
        if share.cursor.sequence <= self._written.sequence:
            written = self._written._replace(place=share.cursor.place)
        else:
            written = share.cursor._replace(settled=self._written.settled, again=self._written.again)
        if share.records or written != self._written:
            self._is_settled = False
            await self._write(publisher, share, written._replace(settled=self._settled), ping)

    def _require_told(self, publisher: Publisher, share: Share, beginning: Beginning) -> None:
        """What stands in partitions of which Kafka has not told may become readable by what is written there now."""
        places = {kafka.TopicPartition(*publisher.place(record)) for record in share.records} & beginning.untold
        if places:
            raise Unavailable(
                f"Kafka at {self._settings.kafka_bootstrap_servers} has not told how the relay's last transactions "
                f"ended on {named(places)}: no broker leads, or answers for, what is to be written to next"
            )

    async def _tell(self, publisher: Publisher, written: Cursor) -> None:
        """Write the cursor alone."""
        await self._write(publisher, Share([], [], written), written)

    async def _write(self, publisher: Publisher, share: Share, written: Cursor, ping: Ping | None = None) -> None:
        """One Kafka transaction with all of the share and the cursor; after any failure the producer is thrown away."""
        self._beat()
        began = time.monotonic()
        try:
            await self.leading(publisher.publish(share.records, cursor.encode(written)), ping)
        except BaseException:
            metrics.RELAY_TRANSACTIONS.labels("failed").inc()
            self._pace.failed()
            raise
        if share.records:
            self._pace.committed(time.monotonic() - began)
        self._written, self.trouble = written, None
        metrics.RELAY_TRANSACTIONS.labels("committed").inc()
        metrics.RELAY_EVENTS.inc(len(share.events))
        metrics.STATE_RECORDS.inc(len(share.states))

    async def _mark(self, session: Session, sequence: int) -> None:
        """Note the cursor in PostgreSQL too, and how much waits."""
        self._marked_at = time.monotonic()
        await session.fetch("relay_mark", sequence)


def _lacking(share: Share, beginning: Beginning) -> Share:
    """The share without the events that can be read already."""
    events = [event for event in share.events if beginning.lacks(event.sequence)]
    again = [event.sequence for event in events if event.sequence <= beginning.committed.sequence]
    if again:
        log.warning(
            "events that Kafka had called committed can't be read: they are published again",
            events=len(again),
            first_sequence=again[0],
            last_sequence=again[-1],
        )
    return share._replace(events=events)
