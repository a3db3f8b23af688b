"""The deployment's topics in Kafka: makes the missing ones; says what is wrong with the others and how to mend it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from schemas.topics import TOPICS, Topic, topic_name
from worker.errors import ConfigurationError, Unavailable
from worker.kafka import refusals, rights
from worker.kafka.clients import (
    EVENT_BYTES_MAX,
    PRODUCE_BATCH_BYTES,
    AIOKafkaAdminClient,
    ConfigResource,
    ConfigResourceType,
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    NewTopic,
    admin,
    bounded,
    translated,
)
from worker.kafka.facts import allowed
from worker.settings import Settings

NOT_YET = (CoordinatorNotAvailableError, CoordinatorLoadInProgressError)
ENVELOPE_BYTES_MAX = 64 * 1024
"""What a record's key, headers and batch header may add to its value, bytes."""
RECORD_BYTES_DEFAULT = 1024 * 1024
"""Kafka's own max.message.bytes; no topic is made with less, bytes."""
RELAY_SEGMENT_BYTES = 16 * 1024 * 1024
"""Small segments are compacted early, so a starting relay reads little, bytes."""
STATE_SEGMENT_BYTES = 64 * 1024 * 1024
"""Likewise for who begins with the users' states, bytes; Kafka's own 1 GiB is not compacted before it is full."""
STATE_COMPACTION_MS_MAX = 12 * 3600 * 1000
"""After this time a state that is out of date is compacted away, so that a forgotten user is gone, ms."""
VISIBLE_SECONDS_MAX = 30.0
"""How long all brokers may take to know a topic that was just created, s."""
GROUP, TRANSACTION = 0, 1
"""Kafka's kinds of coordinators."""
TOPIC_EXISTS = 36
"""Kafka's error code for a topic that another process has created in between."""


@dataclass(frozen=True, slots=True)
class Found:
    """A topic as it is in Kafka."""

    partitions: int
    replicas: int
    config: dict[str, str] | None
    """None where the principal may not see it."""


async def ensure(settings: Settings) -> list[str]:
    """Create the topics that are missing and return their names; safe when several do it at once.

    Raises ConfigurationError if Kafka refuses one, or another is not as it must be, and Unavailable.
    """
    async with admin(settings) as client:
        wanted = _names(settings)
        missing = sorted(wanted.keys() - await _listed(client, settings))
        if missing:
            await _create(client, settings, {name: wanted[name] for name in missing})
            await _visible(client, settings, missing)
        await _check(client, settings)
    return missing


async def check(settings: Settings) -> None:
    """Raise ConfigurationError, a line for each problem, unless every topic is as the worker needs it."""
    async with admin(settings) as client:
        await _check(client, settings, await _lacking(client, settings))


async def partitions(settings: Settings) -> dict[str, int]:
    """How many partitions each of the deployment's topics has; those that are missing are left out."""
    async with admin(settings) as client:
        return {name: found.partitions for name, found in (await _found(client, settings)).items()}


def topics_of(settings: Settings) -> list[Topic]:
    """The topics that a deployment has."""
    return [topic for topic in Topic if topic is not Topic.MEMBERSHIPS or settings.state_topic == "on"]


def _names(settings: Settings) -> dict[str, Topic]:
    return {topic_name(settings.topic_prefix, topic): topic for topic in topics_of(settings)}


async def _listed(client: AIOKafkaAdminClient, settings: Settings) -> set[str]:
    """All topics that there are. Asking for ours by name would create them on a broker that does so by itself."""
    return set(await bounded(client.list_topics(), settings.kafka_seconds_max))


async def _create(client: AIOKafkaAdminClient, settings: Settings, topics: dict[str, Topic]) -> None:
    replicas = settings.topic_replication_factor
    if replicas < 1:
        replicas = await _default_replicas(client, settings)
    events = topic_name(settings.topic_prefix, Topic.MEMBERSHIP_EVENTS)
    found = await _found(client, settings)
    of_events = found[events].partitions if events in found else settings.topic_partitions
    new = [
        NewTopic(name, _partitions(topic, settings, of_events), replicas, topic_configs=_config(topic, settings))
        for name, topic in topics.items()
    ]
    answer = (await bounded(client.create_topics(new), settings.kafka_seconds_max)).to_object()
    refusals: dict[str, list[str]] = {}
    for item in answer["topic_errors"]:
        if item["error_code"] not in (0, TOPIC_EXISTS):
            reason = item["error_message"] or f"error {item['error_code']}"
            refusals.setdefault(reason, []).append(item["topic"])
    if refusals:
        lines = (f"Kafka refused to create {', '.join(names)}: {reason}" for reason, names in refusals.items())
        raise ConfigurationError("\n".join(lines))


def _partitions(topic: Topic, settings: Settings, of_events: int) -> int:
    """As the settings say; the states have as many as the events of the same users, so that they can be joined."""
    match topic:
        case Topic.RELAY_POSITIONS:
            return 1
        case Topic.MEMBERSHIPS:
            return of_events
        case _:
            return settings.topic_partitions


def _config(topic: Topic, settings: Settings) -> dict[str, str]:
    size = max(_bytes_min(topic), settings.record_bytes_max + ENVELOPE_BYTES_MAX, RECORD_BYTES_DEFAULT)
    config = {"cleanup.policy": TOPICS[topic].cleanup_policy, "max.message.bytes": str(size)}
    if topic is Topic.RELAY_POSITIONS:
        return config | {"segment.bytes": str(RELAY_SEGMENT_BYTES)}
    if topic is Topic.MEMBERSHIPS:
        lag = {"max.compaction.lag.ms": str(STATE_COMPACTION_MS_MAX)}
        return config | {"segment.bytes": str(STATE_SEGMENT_BYTES)} | lag
    return config | {"retention.ms": str(round(settings.topic_retention.total_seconds() * 1000))}


def _bytes_min(topic: Topic) -> int:
    """The least max.message.bytes that lets through what the worker writes, bytes."""
    match TOPICS[topic].direction:
        case "in":
            return 0
        case "out" | "state":
            return EVENT_BYTES_MAX + PRODUCE_BATCH_BYTES
        case "internal":
            return ENVELOPE_BYTES_MAX


async def _default_replicas(client: AIOKafkaAdminClient, settings: Settings) -> int:
    """The broker's `default.replication.factor`; aiokafka speaks a protocol too old to let Kafka fill it in."""
    cluster = await bounded(client.describe_cluster(), settings.kafka_seconds_max)
    broker = ConfigResource(
        ConfigResourceType.BROKER, str(cluster["brokers"][0]["node_id"]), {"default.replication.factor": None}
    )
    for _, entries in await _described(client, settings, [broker]):
        for name, value in entries.items():
            if name == "default.replication.factor":
                return int(value)
    raise ConfigurationError(
        "The broker does not tell its default.replication.factor: set SEGMENTATION_TOPIC_REPLICATION_FACTOR, or give "
        f"the principal {rights.principal(settings)} the right DescribeConfigs on the cluster"
    )


async def _described(
    client: AIOKafkaAdminClient, settings: Settings, resources: list[ConfigResource]
) -> list[tuple[str, dict[str, str]]]:
    """Each resource by its name, with the settings that Kafka tells; those that we may not see are left out."""
    answers = await bounded(client.describe_configs(resources), settings.kafka_seconds_max)
    return [
        (name, {entry[0]: str(entry[1]) for entry in entries})
        for answer in answers
        for code, _, _, name, entries in answer.resources
        if code == 0
    ]


async def _visible(client: AIOKafkaAdminClient, settings: Settings, names: list[str]) -> None:
    """Wait until the created topics have leaders, so that the next step finds them."""
    try:
        async with asyncio.timeout(VISIBLE_SECONDS_MAX):
            while names:
                await asyncio.sleep(0.05)
                names = sorted(set(names) - (await _found(client, settings)).keys())
    except TimeoutError:
        raise Unavailable(f"Kafka has created {', '.join(names)}, but no broker leads them yet") from None


async def _found(client: AIOKafkaAdminClient, settings: Settings) -> dict[str, Found]:
    """Our topics of which each partition has a leader."""
    ours = _names(settings)
    metadata: list[dict[str, Any]] = await bounded(client.describe_topics(), settings.kafka_seconds_max)
    topics = {
        topic["topic"]: topic["partitions"]
        for topic in metadata
        if topic["topic"] in ours and all(part["leader"] >= 0 for part in topic["partitions"])
    }
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in topics]
    if not resources:
        return {}
    configs = dict(await _described(client, settings, resources))
    return {
        name: Found(len(partitions), min(len(part["replicas"]) for part in partitions), configs.get(name))
        for name, partitions in topics.items()
        if partitions
    }


async def _lacking(client: AIOKafkaAdminClient, settings: Settings) -> list[str]:
    """The rights that a worker lacks, and what the brokers do not allow.

    Raises NotLetIn for rights on the group and on the relay's transactional id.
    """
    names = _names(settings)
    with translated(settings), contextlib.suppress(*NOT_YET):  # before the first use there is no coordinator
        await bounded(client.find_coordinator(settings.group_id, GROUP), settings.kafka_seconds_max)
        await bounded(
            client.find_coordinator(rights.transactional_id(settings), TRANSACTION), settings.kafka_seconds_max
        )
    lacking = list(rights.missing(settings, names, await allowed(client, settings, names)))
    return lacking + list(await _limits(client, settings))


async def _limits(client: AIOKafkaAdminClient, settings: Settings) -> Iterator[str]:
    """What the brokers do not allow, as far as the principal may see their settings."""
    cluster = await bounded(client.describe_cluster(), settings.kafka_seconds_max)
    names = ("group.min.session.timeout.ms", "group.max.session.timeout.ms", "transaction.max.timeout.ms")
    broker = ConfigResource(ConfigResourceType.BROKER, str(cluster["brokers"][0]["node_id"]), dict.fromkeys(names))
    config: dict[str, str] = {}
    for _, entries in await _described(client, settings, [broker]):
        config |= entries
    return refusals.limits(settings, *(int(config[name]) if name in config else None for name in names))


async def _check(client: AIOKafkaAdminClient, settings: Settings, lacking: Sequence[str] = ()) -> None:
    found = await _found(client, settings)
    problems = list(lacking)
    missing = [name for name in _names(settings) if name not in found and not any(name in one for one in lacking)]
    if missing:
        problems.append(
            f"Kafka at {settings.kafka_bootstrap_servers} lacks the topics {', '.join(missing)}, or no broker leads "
            "them: run `segmentation topics` to create the missing ones"
        )
    for name, topic in _names(settings).items():
        if name in found and found[name].config is None:
            problems.append(rights.sentence(settings, "DescribeConfigs", "topic", name))
        elif name in found:
            problems.extend(f"Topic {name}: {problem}" for problem in _problems(name, topic, found[name]))
    problems.extend(_unlike(settings, found))
    if problems:
        raise ConfigurationError("\n".join(dict.fromkeys(problems)))


def _unlike(settings: Settings, found: dict[str, Found]) -> Iterator[str]:
    """That the states can't be joined with the events: a user would be in partitions of different numbers."""
    states, events = (topic_name(settings.topic_prefix, one) for one in (Topic.MEMBERSHIPS, Topic.MEMBERSHIP_EVENTS))
    if states not in found or events not in found or found[states].partitions == found[events].partitions:
        return
    has, wanted = found[states].partitions, found[events].partitions
    yield (
        f"Topic {states}: it has {has} partitions and {events} has {wanted}, so that nobody can join them; stop all "
        "workers, delete it, then run `segmentation topics` and `segmentation snapshot`"
    )


def _problems(name: str, topic: Topic, found: Found) -> Iterator[str]:
    """What keeps the worker from working on this topic, with the command that mends it."""
    config = found.config or {}
    alter = f"kafka-configs.sh --bootstrap-server … --alter --entity-type topics --entity-name {name} --add-config "
    policy = config.get("cleanup.policy", "delete")
    if policy != TOPICS[topic].cleanup_policy:
        wanted = TOPICS[topic].cleanup_policy
        harm = "the relay's position would be lost" if topic is Topic.RELAY_POSITIONS else "records would be lost"
        yield f"its cleanup.policy is {policy}, {harm}; mend with `{alter}cleanup.policy={wanted}`"
    if topic is Topic.RELAY_POSITIONS and found.partitions != 1:
        yield (
            f"it has {found.partitions} partitions and must have one; stop all workers, delete it, then run "
            "`segmentation topics` and `segmentation reset relay --to database`"
        )
    needed = _bytes_min(topic)
    with contextlib.suppress(ValueError):
        size = int(config.get("max.message.bytes", needed))
        if size < needed:
            yield f"its max.message.bytes is {size} and must be {needed} or more; `{alter}max.message.bytes={needed}`"
        insync = int(config.get("min.insync.replicas", 1))
        if insync > found.replicas:
            yield (
                f"its min.insync.replicas is {insync}, but it has {found.replicas} replicas, so nothing can be "
                f"written; `{alter}min.insync.replicas={found.replicas}`, or add replicas"
            )
