"""What Kafka tells of topics beyond what aiokafka asks for: their ids, and what this worker may do with them."""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO
from typing import Any
from uuid import UUID

from aiokafka.protocol.abstract import AbstractType
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Boolean, CompactArray, CompactString, Int16, Int32, Schema, TaggedFields

NO_ID = UUID(int=0)
OPERATIONS = {"Read": 3, "Write": 4, "Create": 5, "Describe": 8, "DescribeConfigs": 10}
"""Kafka's numbers of what may be done; those that are allowed come as a bit each."""


class Uuid(AbstractType):  # type: ignore[misc] # aiokafka has no types
    """16 bytes."""

    @classmethod
    def encode(cls, value: UUID) -> bytes:
        """As Kafka writes it."""
        return value.bytes

    @classmethod
    def decode(cls, data: BytesIO) -> UUID:
        """As Kafka writes it."""
        return UUID(bytes=data.read(16))


class MetadataAnswer(Response):  # type: ignore[misc] # aiokafka has no types
    """Metadata of version 10, the first with ids."""

    API_KEY = 3
    API_VERSION = 10
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString()),
                ("port", Int32),
                ("rack", CompactString()),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString()),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("topic", CompactString()),
                ("topic_id", Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("operations", Int32),
        ("tags", TaggedFields),
    )


class MetadataQuestion(RequestStruct):  # type: ignore[misc] # aiokafka has no types
    """Metadata of version 10."""

    FLEXIBLE_VERSION = True
    API_KEY = 3
    API_VERSION = 10
    RESPONSE_TYPE = MetadataAnswer
    SCHEMA = Schema(
        ("topics", CompactArray(("topic_id", Uuid), ("topic", CompactString()), ("tags", TaggedFields))),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_operations", Boolean),
        ("include_topic_operations", Boolean),
        ("tags", TaggedFields),
    )


class DescribeTopics(Request[MetadataQuestion]):  # type: ignore[misc] # aiokafka has no types
    """Asks for the named topics alone; none of them is created by being asked for."""

    API_KEY = 3

    def __init__(self, topics: Iterable[str]) -> None:
        self._topics = list(topics)

    def build(self, request_struct_class: Any) -> Any:
        """The one version that there is."""
        return request_struct_class([(NO_ID, topic, {}) for topic in self._topics], False, True, True, {})
