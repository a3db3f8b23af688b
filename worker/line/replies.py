"""Answers to queries, sent after the batch that held them was committed, by an ordinary idempotent producer.

They are neither journaled nor sent again: a client that misses an answer asks again. All is bounded, in number, bytes
and seconds, and nobody waits for a topic that can't be written: queries that name a topic of their own go another way
than the others, and are dropped where that topic is missing or has failed lately.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import NAMESPACE_URL, uuid5

import orjson

from schemas.commands import MembershipQuery
from schemas.decode import Command
from schemas.encode import encode_data, encode_event
from schemas.envelope import STRUCTURED_HEADERS
from schemas.topics import Topic, topic_name
from worker.errors import Unavailable
from worker.kafka import clients as kafka
from worker.line.batch import ReceivedCommand
from worker.line.outlet import Outlet, ReplyTopics, Room
from worker.observability import metrics
from worker.observability.logs import logger
from worker.observability.progress import Watch
from worker.postgres.clock import Clock, told
from worker.postgres.session import Session
from worker.settings import Settings

log = logger(__name__)

QUERIES_WAITING_MAX = 20_000
"""Queries that wait for their answers, of each of the two ways; a query takes up to 3 KiB."""
QUERY_SECONDS_MAX = 60.0
"""A query that has waited for so long is not answered any more: who asked has asked again, or gone."""
QUERIES_TOGETHER_MAX = 1_000
DELIVERIES_MAX = 16
"""Deliveries under way at once, each to one topic."""
ANSWER_SECONDS_MAX = 10.0
ANSWERS_BYTES_MAX = 8 * 1024 * 1024
"""Answers under way at once, of each of the two ways; a larger one goes alone."""
SEGMENTS_MAX = 40_000
"""Segments in one answer, and memberships that are read at once; with names of full length they fit into one record."""
RETRY_SECONDS = 1.0
Query = Command[MembershipQuery]


class Snapshots(NamedTuple):
    """The data of answers, by user, as of one time."""

    at: datetime
    of: dict[str, orjson.Fragment]


class Replies:
    """Answers queries in the background of the line."""

    def __init__(self, settings: Settings, session: Session, *, clock: Clock, watch: Watch) -> None:
        self._default_topic = topic_name(settings.topic_prefix, Topic.REPLIES)
        asking = Asking(settings, session, clock)
        self._asking = asking
        self._ours = Way(settings, asking, watch, remembers_failures=False)
        self._others = Way(settings, asking, watch, remembers_failures=True)

    def ask(self, queries: Sequence[ReceivedCommand[MembershipQuery]]) -> None:
        """Take queries whose batch is committed; those over the limit are dropped."""
        for record in queries:
            topic = record.what.replyto or self._default_topic
            (self._ours if topic == self._default_topic else self._others).put(topic, record.what)

    async def settled(self) -> None:
        """Wait until nothing waits for an answer."""
        await self._ours.settled()
        await self._others.settled()

    async def run(self) -> None:
        """Answer until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._ours.run())
                group.create_task(self._others.run())
        finally:
            await self._asking.close()


class Asking:
    """Reads users' memberships, for one caller at a time."""

    def __init__(self, settings: Settings, session: Session, clock: Clock) -> None:
        self._settings, self._session, self._clock = settings, session, clock
        self._lock = asyncio.Lock()

    async def snapshots(self, users: Sequence[str]) -> Snapshots:
        """The data of the answers about the first of the users, of as many as fit into the limit, one at least.

        Raises Unavailable.
        """
        async with self._lock:
            at = await told(self._session, self._clock)
            rows = await self._session.fetch("memberships_of_users", users, at, SEGMENTS_MAX + 1)
        found: dict[str, list[dict[str, object]]] = {user_id: [] for user_id in users}
        for row in rows[:SEGMENTS_MAX]:
            item = dict(row)
            item["segment_id"] = str(item["segment_id"])
            found[item.pop("user_id")].append(item)
        more = None
        if len(rows) > SEGMENTS_MAX:  # the last one's may be cut, and those after it were not read
            last = rows[-1]["user_id"]
            whole = users.index(last)
            found = {user_id: found[user_id] for user_id in users[: max(whole, 1)]}
            more = users[0] if not whole else None
        data = {user_id: _answer(user_id, items, has_more=user_id == more) for user_id, items in found.items()}
        return Snapshots(at, data)

    async def close(self) -> None:
        """Close the session."""
        await self._session.close()


class Way:
    """A queue of queries and the deliveries of their answers."""

    def __init__(self, settings: Settings, asking: Asking, watch: Watch, *, remembers_failures: bool) -> None:
        self._settings, self._asking, self._watch = settings, asking, watch
        self._remembers_failures = remembers_failures
        self._queue: asyncio.Queue[tuple[str, Query, float]] = asyncio.Queue(QUERIES_WAITING_MAX)
        self._topics = ReplyTopics()
        self._room = Room(ANSWERS_BYTES_MAX)
        self._outlet: Outlet | None = None
        self._making = asyncio.Lock()
        self._deliveries: set[asyncio.Task[None]] = set()

    def put(self, topic: str, query: Query) -> None:
        """Take a query, or drop it if too many wait."""
        try:
            self._queue.put_nowait((topic, query, time.monotonic() + QUERY_SECONDS_MAX))
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
                taken = [await self._queue.get()]
                while not self._queue.empty() and len(taken) < QUERIES_TOGETHER_MAX:
                    taken.append(self._queue.get_nowait())
                try:
                    await self._answer(taken)
                finally:
                    self._watch.rest()
                    for _ in taken:
                        self._queue.task_done()
        finally:
            for delivery in self._deliveries:
                delivery.cancel()
            await asyncio.gather(*self._deliveries, return_exceptions=True)
            if self._outlet is not None:
                await kafka.abandon(self._outlet.producer.stop())

    async def _answer(self, taken: Sequence[tuple[str, Query, float]]) -> None:
        """Deliver the answers; what can't be answered is counted, and ends nothing."""
        self._watch.beat()
        now, delivered = time.monotonic(), 0
        waiting = [(topic, query) for topic, query, until in taken if until > now]
        try:
            outlet = await self._live_outlet()
            async with outlet.used() as producer:
                unusable = await self._topics.unusable(producer, self._settings, {topic for topic, _ in waiting})
            good = [(topic, query) for topic, query in waiting if topic not in unusable]
            users = sorted({query.data.user_id for _, query in good})
            while users:
                self._watch.beat()
                snapshots = await self._asking.snapshots(users)
                users = users[len(snapshots.of) :]
                chosen = [(topic, query) for topic, query in good if query.data.user_id in snapshots.of]
                await self._deliver_all(chosen, snapshots)
                delivered += len(chosen)
        except Unavailable as error:
            log.warning("queries were not answered", count=len(taken) - delivered, error=str(error))
            await asyncio.sleep(RETRY_SECONDS)
        finally:
            metrics.REPLIES.labels("lost").inc(len(taken) - delivered)

    async def _deliver_all(self, queries: Sequence[tuple[str, Query]], snapshots: Snapshots) -> None:
        by_topic: dict[str, list[Query]] = {}
        for topic, query in queries:
            by_topic.setdefault(topic, []).append(query)
        for topic, group in by_topic.items():
            while len(self._deliveries) >= DELIVERIES_MAX:
                self._watch.beat()
                await asyncio.wait(self._deliveries, timeout=RETRY_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            await self._live_outlet()  # nothing is delivered, and no topic at fault, while there is none
            delivery = asyncio.create_task(self._deliver(topic, group, snapshots))
            self._deliveries.add(delivery)
            delivery.add_done_callback(self._deliveries.discard)

    async def _deliver(self, topic: str, queries: Sequence[Query], snapshots: Snapshots) -> None:
        """Send answers to one topic; what does not go through within the limit is lost."""
        sending: list[asyncio.Future[Any]] = []
        try:
            outlet = await self._live_outlet()
            async with outlet.used(topic) as producer:
                with kafka.translated(self._settings):
                    async with asyncio.timeout(ANSWER_SECONDS_MAX):
                        for query in queries:
                            sending += [await self._send(producer, topic, query, snapshots)]
                        await asyncio.gather(*sending)
        except Unavailable as error:
            log.warning("queries were not answered", topic=topic, count=len(queries), error=str(error))
            if self._remembers_failures:
                self._topics.failed(topic, str(error))
        finally:
            for delivery in sending:
                delivery.cancel()  # has no effect on those that are done
            sent = sum(1 for delivery in sending if not delivery.cancelled() and delivery.exception() is None)
            metrics.REPLIES.labels("sent").inc(sent)
            metrics.REPLIES.labels("lost").inc(len(queries) - sent)

    async def _send(
        self, producer: kafka.AIOKafkaProducer, topic: str, query: Query, snapshots: Snapshots
    ) -> asyncio.Future[Any]:
        """Hand an answer to the producer, as soon as there is room for it."""
        user_id = query.data.user_id
        value = encode_event(
            id=str(uuid5(NAMESPACE_URL, f"{len(query.source)}:{query.source}{query.id}")),
            source=self._settings.event_source,
            type="membership.snapshot",
            time=snapshots.at,
            subject=user_id,
            key=user_id,
            sequence=None,
            data=snapshots.of[user_id],
            causationid=query.id,
            causationsource=query.source,
            correlationid=query.correlationid,
            traceparent=query.traceparent,
        )
        size = len(value)
        await self._room.take(size)
        try:
            delivery: asyncio.Future[Any] = await producer.send(
                topic, value, key=user_id.encode(), headers=list(STRUCTURED_HEADERS)
            )
        except BaseException:
            self._room.give(size)
            raise
        delivery.add_done_callback(lambda _: self._room.give(size))
        return delivery

    async def _live_outlet(self) -> Outlet:
        async with self._making:
            if self._outlet is None or self._outlet.is_spent:
                self._outlet = None
                producer = kafka.producer(self._settings)
                try:
                    with kafka.translated(self._settings):
                        await kafka.bounded(producer.start(), self._settings.kafka_seconds_max)
                except BaseException:
                    await kafka.abandon(producer.stop())
                    raise
                self._outlet = Outlet(producer)
            return self._outlet


def _answer(user_id: str, segments: list[dict[str, object]], *, has_more: bool) -> orjson.Fragment:
    """The data of an answer, encoded once for all who ask."""
    data = {"user_id": user_id, "segments": segments} | ({"more": True} if has_more else {})
    return orjson.Fragment(encode_data(data))
