"""Kafka clients with our limits. The only module that imports aiokafka; the rest imports its types from here."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Awaitable, Iterator
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka import client as aiokafka_client
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.consumer import fetcher
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import (
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    CorruptRecordException,
    IllegalStateError,
    KafkaConnectionError,
    KafkaError,
    MessageSizeTooLargeError,
    NodeNotReadyError,
    OffsetOutOfRangeError,
    ProducerFenced,
    RequestTimedOutError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.record import default_records

from worker.errors import ConfigurationError, NotLetIn, Unavailable
from worker.kafka import fetched, probe, refusals, security, silence, words
from worker.kafka.closing import abandon, cut_off
from worker.kafka.silence import watched
from worker.settings import TRANSACTION_SECONDS_MAX, Settings

__all__ = [
    "AIOKafkaAdminClient",
    "AIOKafkaConsumer",
    "AIOKafkaProducer",
    "BatchBuilder",
    "ConfigResource",
    "ConfigResourceType",
    "ConsumerRebalanceListener",
    "ConsumerRecord",
    "CoordinatorLoadInProgressError",
    "CoordinatorNotAvailableError",
    "CorruptRecordException",
    "IllegalStateError",
    "KafkaConnectionError",
    "KafkaError",
    "MessageSizeTooLargeError",
    "NewTopic",
    "OffsetOutOfRangeError",
    "ProducerFenced",
    "TopicAlreadyExistsError",
    "TopicAuthorizationFailedError",
    "TopicPartition",
    "UnknownTopicOrPartitionError",
    "abandon",
    "cut_off",
]

T = TypeVar("T")

# aiokafka has no option for this: whoever asks about a topic that is missing would create it where brokers allow that
aiokafka_client.MetadataRequest = functools.partial(MetadataRequest, allow_auto_topic_creation=False)
# nor for this: a connection to a broker that is frozen would wait as long as a request may take
aiokafka_client.create_conn = silence.in_time(aiokafka_client.create_conn)
# nor for this: a single header's name that is no UTF-8 would end every reader of its topic
fetcher.MemoryRecords = fetched.Batches
# nor would the errors of what can't be read say where that is, or all be errors of Kafka
fetcher.FetchResult = fetched.Taking

EVENT_BYTES_MAX = 16 * 1024 * 1024
"""Largest event, bytes: a user who leaves 40,000 segments with names of full length at once."""
PRODUCE_BATCH_BYTES = 512 * 1024
"""A hand-filled batch is sent when it has this size, bytes; a larger single event travels alone."""
FETCH_BYTES_MAX = 8 * 1024 * 1024
"""What one answer of a broker brings, still compressed, bytes; a larger batch comes alone."""
FETCH_PARTITION_BYTES_MAX = 1024 * 1024
"""The share of one partition in it, bytes; so much of each waits in memory until it is taken."""
REBALANCE_SECONDS_MAX = 60
UNREACHABLE = (KafkaConnectionError, NodeNotReadyError, RequestTimedOutError, OSError, TimeoutError, AssertionError)
"""What aiokafka raises where it could not talk to a broker; the reason it only logs."""
METADATA_SECONDS_MAX = 30
"""How old the consumer's view of topics and brokers gets, s; aiokafka's own 300 s is long for partitions that wait."""
POLL_SECONDS_MAX = 24 * 3600
"""With the database away nothing is polled, and a rebalance would not bring it back. /livez watches the loops."""


def require_compiled_records() -> None:
    """Without aiokafka's compiled record parser the worker would be two orders of magnitude slower."""
    if default_records.DefaultRecordBatchBuilder is default_records._DefaultRecordBatchBuilderPy:
        raise ConfigurationError(
            "aiokafka runs without its compiled extension: unset AIOKAFKA_NO_EXTENSIONS and install a binary wheel"
        )


def _common(settings: Settings) -> dict[str, Any]:
    return {
        "bootstrap_servers": settings.kafka_bootstrap_servers,
        "client_id": settings.group_id,
        **security.arguments(settings),
    }


def group_consumer(settings: Settings) -> AIOKafkaConsumer:
    """The consumer of commands; subscribe with a listener before `start`. Positions come from PostgreSQL."""
    session_ms = settings.session_seconds_max * 1000
    return watched(
        AIOKafkaConsumer(
            **_common(settings),
            group_id=settings.group_id,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            partition_assignment_strategy=(StickyPartitionAssignor,),
            session_timeout_ms=session_ms,
            heartbeat_interval_ms=session_ms // 10,
            rebalance_timeout_ms=max(REBALANCE_SECONDS_MAX * 1000, session_ms),
            max_poll_interval_ms=POLL_SECONDS_MAX * 1000,
            fetch_max_wait_ms=100,
            fetch_max_bytes=FETCH_BYTES_MAX,
            max_partition_fetch_bytes=FETCH_PARTITION_BYTES_MAX,
            retry_backoff_ms=50,
            metadata_max_age_ms=METADATA_SECONDS_MAX * 1000,
        )
    )


def reader(settings: Settings, **overrides: Any) -> AIOKafkaConsumer:
    """A `read_committed` consumer without a group, for looking at topics; assign and seek it yourself."""
    arguments = {
        **_common(settings),
        "enable_auto_commit": False,
        "auto_offset_reset": "earliest",
        "isolation_level": "read_committed",
        "fetch_max_wait_ms": 100,
        "retry_backoff_ms": 50,
    }
    return watched(AIOKafkaConsumer(**(arguments | overrides)))


@contextlib.asynccontextmanager
async def reading(settings: Settings, **overrides: Any) -> AsyncIterator[AIOKafkaConsumer]:
    """A started `reader`; raises what the client does, or TimeoutError, where no broker answers."""
    consumer = reader(settings, **overrides)
    try:
        await bounded(consumer.start(), settings.kafka_seconds_max)
        yield consumer
    finally:
        await abandon(consumer.stop())


def transactional_producer(settings: Settings, transactional_id: str) -> AIOKafkaProducer:
    """The relay's producer. After any doubt throw it away: a new one has a new epoch."""
    return watched(
        AIOKafkaProducer(
            **_common(settings),
            transactional_id=transactional_id,
            transaction_timeout_ms=TRANSACTION_SECONDS_MAX * 1000,
            request_timeout_ms=int(settings.kafka_seconds_max * 2 * 1000),
            max_batch_size=PRODUCE_BATCH_BYTES,
            max_request_size=EVENT_BYTES_MAX + PRODUCE_BATCH_BYTES,
            retry_backoff_ms=20,
        )
    )


def producer(settings: Settings) -> AIOKafkaProducer:
    """An ordinary idempotent producer."""
    return watched(
        AIOKafkaProducer(
            **_common(settings),
            enable_idempotence=True,
            request_timeout_ms=int(settings.kafka_seconds_max * 1000),
            max_batch_size=PRODUCE_BATCH_BYTES,
            max_request_size=EVENT_BYTES_MAX,
            linger_ms=1,
            retry_backoff_ms=50,
        )
    )


def batch(producer: AIOKafkaProducer, bytes_max: int | None) -> BatchBuilder:
    """An empty batch of the producer's, not larger than a topic takes; a single record may be larger."""
    made = producer.create_batch()
    if bytes_max is not None and bytes_max < PRODUCE_BATCH_BYTES:
        made = BatchBuilder(bytes_max, 0, is_transactional=True)
    return made


def has_left_for_good(consumer: AIOKafkaConsumer) -> bool:
    """Whether the task that keeps the consumer in its group has ended, which the client never mends by itself."""
    return bool(consumer._coordinator._coordination_task.done())


@contextlib.asynccontextmanager
async def admin(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    """A started admin client; raises Unavailable where no broker answers."""
    client = AIOKafkaAdminClient(**_common(settings), request_timeout_ms=int(settings.kafka_seconds_max * 1000))
    try:
        async with explained(settings):
            await bounded(client.start(), settings.kafka_seconds_max)
            yield client
    finally:
        await abandon(client.close())


@contextlib.contextmanager
def translated(settings: Settings) -> Iterator[None]:
    """aiokafka's and the sockets' errors as Unavailable, with the servers' names."""
    try:
        yield
    except (KafkaError, OSError, TimeoutError, AssertionError) as error:
        refusal = refusals.of(settings, error)
        if refusal is not None:
            raise NotLetIn(refusal) from error
        # aiokafka asserts that the metadata names a broker, which it may not while the only one is fenced
        raise Unavailable(f"Kafka at {settings.kafka_bootstrap_servers}: {words.of(error)}") from error


@contextlib.asynccontextmanager
async def explained(settings: Settings) -> AsyncIterator[None]:
    """As `translated`, and where no broker could be talked to, with the reason: NotLetIn if a person must act.

    A start is a good place for it: with Kafka away it takes some seconds more.
    """
    try:
        with translated(settings):
            yield
    except NotLetIn:
        raise
    except Unavailable as error:
        reason = await probe.explain(settings) if isinstance(error.__cause__, UNREACHABLE) else None
        if reason is None:
            raise
        raise reason from error.__cause__


def leaderless(client: AIOKafkaProducer, topic: str, partition: int) -> bool:
    """Whether no broker leads the partition, as far as the client has heard."""
    return client.client.cluster.leader_for_partition(TopicPartition(topic, partition)) in (None, -1)


async def bounded(awaitable: Awaitable[T], seconds: float) -> T:
    """Await with a limit, since several of aiokafka's calls can wait for ever with the broker away."""
    async with asyncio.timeout(seconds):
        return await awaitable
