"""What brokers tell of topics: their ids, their partitions, and what this principal may do with them."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias
from uuid import UUID

from aiokafka.consumer.fetcher import READ_UNCOMMITTED
from aiokafka.errors import NoError, TopicAuthorizationFailedError, UnknownTopicOrPartitionError, for_code
from aiokafka.protocol.admin import DescribeConfigsRequest

from worker.kafka.clients import (
    AIOKafkaAdminClient,
    AIOKafkaConsumer,
    AIOKafkaProducer,
    ConfigResourceType,
    KafkaConnectionError,
    KafkaError,
    TopicPartition,
    bounded,
    translated,
)
from worker.kafka.wire import NO_ID, DescribeTopics
from worker.settings import Settings

NO_LEADER = -1
BATCH_BYTES_MAX = "max.message.bytes"
OFFSETS_SECONDS_MAX = 5.0
"""Longest wait for the offsets of all partitions, on new connections perhaps; after it each is asked for by itself."""
Client: TypeAlias = AIOKafkaConsumer | AIOKafkaAdminClient
Offsets: TypeAlias = dict[TopicPartition, int]


@dataclass(frozen=True, slots=True)
class TopicFacts:
    """A topic as the brokers describe it; its id is new each time that it is created, None where they tell none."""

    topic_id: UUID | None
    partitions: int


async def described(client: Client, settings: Settings, names: Collection[str]) -> dict[str, TopicFacts]:
    """What a broker tells of these topics over the client's own connections; those that there are not are left out.

    Raises Unavailable, also where a topic is just being made or moved.
    """
    found = {}
    with translated(settings):
        for code, name, topic_id, _, partitions, _, _ in await _ask(client, settings, names):
            error = for_code(code)
            if error is NoError:
                found[name] = TopicFacts(None if topic_id == NO_ID else topic_id, len(partitions))
            elif error is not UnknownTopicOrPartitionError:
                raise error(name)
    return found


async def allowed(client: Client, settings: Settings, names: Collection[str]) -> dict[str, int | None]:
    """What may be done with each of these topics, a bit each; None where not even describing is allowed."""
    found: dict[str, int | None] = {}
    with translated(settings):
        for code, name, _, _, _, operations, _ in await _ask(client, settings, names):
            error = for_code(code)
            if error is TopicAuthorizationFailedError:
                found[name] = None
            elif error is NoError:
                found[name] = operations
    return found


async def unwritable(client: AIOKafkaProducer, settings: Settings, names: Collection[str]) -> dict[str, str]:
    """Those of the topics that nothing can be written to now, and why; raises Unavailable where no broker answers."""
    with translated(settings):
        topics = await _ask(client, settings, names)
    found = {}
    for code, name, _, _, partitions, _, _ in topics:
        error = for_code(code)
        lost = [partition for _, partition, leader, *_ in partitions if leader < 0]
        if error is UnknownTopicOrPartitionError:
            found[name] = "there is no such topic"
        elif error is not NoError:
            found[name] = error.__name__
        elif lost:
            found[name] = f"no broker leads its partition {lost[0]}"
    return found


async def batch_bytes_max(client: AIOKafkaProducer, settings: Settings, names: Collection[str]) -> dict[str, int]:
    """The largest batch of records that each topic takes, bytes; those that this principal may not see are left out.

    Raises Unavailable.
    """
    wanted = [(ConfigResourceType.TOPIC, name, [BATCH_BYTES_MAX]) for name in names]
    with translated(settings):
        answer = await _send(client, settings, DescribeConfigsRequest(wanted))
    return {
        name: int(value)
        for code, _, _, name, entries in answer.resources
        for config, value, *_ in entries
        if code == NoError.errno and config == BATCH_BYTES_MAX
    }


async def _ask(client: Client | AIOKafkaProducer, settings: Settings, names: Collection[str]) -> list[tuple[Any, ...]]:
    answer = await _send(client, settings, DescribeTopics(names))
    return answer.topics  # type: ignore[no-any-return] # aiokafka has no types


async def _send(client: Client | AIOKafkaProducer, settings: Settings, request: Any) -> Any:
    """A broker's answer, over the client's own connections."""
    inner = client.client if isinstance(client, AIOKafkaProducer) else client._client
    node = inner.get_random_node()
    if node is None:
        raise KafkaConnectionError("no broker is known yet")
    return await bounded(inner.send(node, request), settings.kafka_seconds_max)


def is_leaderless(consumer: AIOKafkaConsumer, partition: TopicPartition) -> bool:
    """Whether no broker leads the partition, as far as the consumer knows: asking about it would only take time."""
    return bool(consumer._client.cluster.leader_for_partition(partition) == NO_LEADER)


def refresh_metadata(consumer: AIOKafkaConsumer) -> None:
    """Have the consumer look at its topics now; it leaves and joins the group again where their partitions changed."""
    consumer._client.force_metadata_update()


async def high_watermarks(
    consumer: AIOKafkaConsumer, partitions: Collection[TopicPartition]
) -> dict[TopicPartition, int]:
    """The offset behind each partition's last record, whether it can be read yet or an open transaction holds it back.

    aiokafka's consumer tells the ends of what it reads itself, so a copy that reads all asks over its connections.
    """
    asking = copy.copy(consumer._fetcher)
    asking._isolation_level = READ_UNCOMMITTED
    return await asking.end_offsets(  # type: ignore[no-any-return] # aiokafka has no types
        partitions, consumer._request_timeout_ms
    )


async def offsets(
    ask: Callable[[Sequence[TopicPartition]], Awaitable[Offsets]], partitions: Sequence[TopicPartition], seconds: float
) -> Offsets:
    """The offsets that Kafka tells within so many seconds, of all partitions together, or else of each alone."""
    if not partitions:
        return {}
    try:
        return await bounded(ask(partitions), seconds)
    except (KafkaError, TimeoutError):
        if len(partitions) == 1:
            return {}
    found: Offsets = {}
    for answer in await asyncio.gather(*(offsets(ask, [one], seconds) for one in partitions)):
        found |= answer
    return found
