"""Answers to queries, sent after the batch that held them was committed, by an ordinary idempotent producer.

They are neither journaled nor sent again: who misses an answer asks again. So a reply topic that does not exist, or a
broker that is away, costs the answers in hand and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from schemas.commands import MembershipQuery
from schemas.decode import Command
from schemas.encode import encode_event
from schemas.envelope import STRUCTURED_HEADERS
from schemas.topics import Topic, topic_name
from worker.errors import Unavailable
from worker.kafka import clients as kafka
from worker.line.batch import ReceivedCommand
from worker.observability import metrics
from worker.observability.logs import logger
from worker.observability.progress import Watch
from worker.postgres.clock import Clock, told
from worker.postgres.session import Session
from worker.settings import Settings

log = logger(__name__)

QUERIES_WAITING_MAX = 50_000
QUERIES_TOGETHER_MAX = 1_000
DELIVERIES_MAX = 16
"""Deliveries under way at once; one is for one topic, so that a topic that does not exist holds up no other."""
ANSWER_SECONDS_MAX = 10.0
RETRY_SECONDS = 1.0
Query = Command[MembershipQuery]
Snapshots = dict[str, list[dict[str, Any]]]


class Replies:
    """Answers queries in the background of the line."""

    def __init__(self, settings: Settings, session: Session, *, clock: Clock, watch: Watch) -> None:
        self._settings, self._session, self._clock, self._watch = settings, session, clock, watch
        self._default_topic = topic_name(settings.topic_prefix, Topic.REPLIES)
        self._queue: asyncio.Queue[Query] = asyncio.Queue(QUERIES_WAITING_MAX)
        self._producer: kafka.AIOKafkaProducer | None = None
        self._deliveries: set[asyncio.Task[None]] = set()

    def ask(self, queries: Sequence[ReceivedCommand[MembershipQuery]]) -> None:
        """Take queries whose batch is committed; those over the limit are dropped."""
        for record in queries:
            try:
                self._queue.put_nowait(record.what)
            except asyncio.QueueFull:
                metrics.REPLIES.labels("lost").inc()

    async def settled(self) -> None:
        """Wait until nothing waits for an answer."""
        await self._queue.join()
        if self._deliveries:
            await asyncio.wait(self._deliveries)

    async def run(self) -> None:
        """Answer until cancelled."""
        try:
            while True:
                queries = [await self._queue.get()]
                while not self._queue.empty() and len(queries) < QUERIES_TOGETHER_MAX:
                    queries.append(self._queue.get_nowait())
                try:
                    await self._answer(queries)
                finally:
                    self._watch.rest()
                    for _ in queries:
                        self._queue.task_done()
        finally:
            for delivery in self._deliveries:
                delivery.cancel()
            await self._session.close()
            await self._drop_producer()

    async def _answer(self, queries: Sequence[Query]) -> None:
        self._watch.beat()
        try:
            producer = await self._live_producer()
            at = await told(self._session, self._clock)
            snapshots = await self._snapshots(queries, at)
        except Unavailable as error:
            metrics.REPLIES.labels("lost").inc(len(queries))
            log.warning("queries were not answered", count=len(queries), error=str(error))
            await asyncio.sleep(RETRY_SECONDS)
            return
        by_topic: dict[str, list[Query]] = {}
        for query in queries:
            by_topic.setdefault(query.replyto or self._default_topic, []).append(query)
        for topic, group in by_topic.items():
            while len(self._deliveries) >= DELIVERIES_MAX:
                await asyncio.wait(self._deliveries, return_when=asyncio.FIRST_COMPLETED)
            delivery = asyncio.create_task(self._deliver(producer, topic, group, snapshots, at))
            self._deliveries.add(delivery)
            delivery.add_done_callback(self._deliveries.discard)

    async def _snapshots(self, queries: Sequence[Query], at: datetime) -> Snapshots:
        users = sorted({query.data.user_id for query in queries})
        found: Snapshots = {user_id: [] for user_id in users}
        for row in await self._session.fetch("memberships_of_users", users, at):
            item = dict(row)
            item["segment_id"] = str(item["segment_id"])
            found[item.pop("user_id")].append(item)
        return found

    async def _deliver(
        self,
        producer: kafka.AIOKafkaProducer,
        topic: str,
        queries: Sequence[Query],
        snapshots: Snapshots,
        at: datetime,
    ) -> None:
        """Send answers to one topic; what does not go through within the limit is lost."""
        try:
            with kafka.translated(self._settings):
                async with asyncio.timeout(ANSWER_SECONDS_MAX):
                    sent = [await self._send(producer, topic, query, snapshots, at) for query in queries]
                    await asyncio.gather(*sent)
        except Unavailable as error:
            metrics.REPLIES.labels("lost").inc(len(queries))
            log.warning("queries were not answered", topic=topic, count=len(queries), error=str(error))
        else:
            metrics.REPLIES.labels("sent").inc(len(queries))

    async def _send(
        self, producer: kafka.AIOKafkaProducer, topic: str, query: Query, snapshots: Snapshots, at: datetime
    ) -> asyncio.Future[Any]:
        user_id = query.data.user_id
        value = encode_event(
            id=str(uuid5(NAMESPACE_URL, f"{len(query.source)}:{query.source}{query.id}")),
            source=self._settings.event_source,
            type="membership.snapshot",
            time=at,
            subject=user_id,
            key=user_id,
            sequence=None,
            data={"user_id": user_id, "segments": snapshots[user_id]},
            causationid=query.id,
            causationsource=query.source,
            correlationid=query.correlationid,
            traceparent=query.traceparent,
        )
        delivery: asyncio.Future[Any] = await producer.send(
            topic, value, key=user_id.encode(), headers=list(STRUCTURED_HEADERS)
        )
        return delivery

    async def _live_producer(self) -> kafka.AIOKafkaProducer:
        if self._producer is None:
            producer = kafka.producer(self._settings)
            try:
                with kafka.translated(self._settings):
                    await kafka.bounded(producer.start(), self._settings.kafka_seconds_max)
            except BaseException:
                await kafka.abandon(producer.stop())
                raise
            self._producer = producer
        return self._producer

    async def _drop_producer(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await kafka.abandon(producer.stop())
