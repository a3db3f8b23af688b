"""What this worker may do in Kafka: which right is missing, on what, and the command that gives it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from schemas.topics import TOPICS, Topic
from worker.kafka.wire import OPERATIONS
from worker.settings import Settings

NEEDED = {"in": ("Read",), "out": ("Write",), "state": ("Read", "Write"), "internal": ("Read", "Write")}
"""By a topic's direction; who may do one of these may describe it, too."""


def principal(settings: Settings) -> str:
    """Who we are for the brokers, as far as the settings tell."""
    if settings.kafka_security_protocol.startswith("SASL"):
        if settings.kafka_sasl_mechanism == "OAUTHBEARER":
            return "User:… (the `sub` of the token)"
        return f"User:{settings.kafka_sasl_username}"
    if settings.kafka_ssl_certfile:
        return f"User:… (the subject of {settings.kafka_ssl_certfile})"
    return "User:ANONYMOUS"


def transactional_id(settings: Settings) -> str:
    """The relay's."""
    return f"{settings.topic_prefix}.relay"


def sentence(settings: Settings, operation: str, kind: str, name: str) -> str:
    """That a right is missing, by name, and what gives it."""
    who = principal(settings)
    words = {"topic": "the topic", "group": "the group", "transactional-id": "the transactional id"}[kind]
    command = (
        f"kafka-acls.sh --bootstrap-server … --add --allow-principal '{who.partition(' ')[0]}' "
        f"--operation {operation} --{kind} {name}"
    )
    return f"Kafka: the principal {who} lacks the right {operation} on {words} {name}: `{command}`"


def missing(settings: Settings, names: Mapping[str, Topic], allowed: Mapping[str, int | None]) -> Iterator[str]:
    """A sentence for each right that the worker lacks on a topic; of topics that are not in `allowed` nothing is known.

    `allowed` has the operations as Kafka tells them, a bit each; None where not even describing is allowed.
    """
    for name, topic in names.items():
        if name not in allowed:
            continue
        bits = allowed[name]
        for operation in (*NEEDED[TOPICS[topic].direction], "DescribeConfigs"):
            if bits is None or not may(bits, operation):
                yield sentence(settings, operation, "topic", name)


def may(bits: int, operation: str) -> bool:
    """Whether the operation is among those that a broker told; brokers that tell none are not doubted."""
    return bits < 0 or bool(bits >> OPERATIONS[operation] & 1)
