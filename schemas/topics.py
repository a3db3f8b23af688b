"""The topics: what each one holds, what its records are keyed by, and how Kafka is to keep it."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Literal

PREFIX_DEFAULT = "segmentation"
TOPIC_CHARACTERS_MAX = 249

Direction = Literal["in", "out", "state", "internal"]
CleanupPolicy = Literal["delete", "compact"]


class Topic(StrEnum):
    """A topic, by what follows the prefix in its name."""

    SEGMENT_COMMANDS = "segment-commands"
    MEMBERSHIP_COMMANDS = "membership-commands"
    REPORT_COMMANDS = "report-commands"
    IMPORT_COMMANDS = "import-commands"
    SEGMENT_EVENTS = "segment-events"
    MEMBERSHIP_EVENTS = "membership-events"
    REPORT_EVENTS = "report-events"
    IMPORT_EVENTS = "import-events"
    MEMBERSHIPS = "memberships"
    REJECTIONS = "rejections"
    REPLIES = "replies"
    RELAY_POSITIONS = "relay-positions"


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """`key` and `holds` are prose; `direction` is as the worker sees it; `cleanup_policy` is Kafka's setting."""

    key: str
    direction: Direction
    holds: str
    cleanup_policy: CleanupPolicy = "delete"


TOPICS: dict[Topic, TopicSpec] = {
    Topic.SEGMENT_COMMANDS: TopicSpec("the segment", "in", "segment commands"),
    Topic.MEMBERSHIP_COMMANDS: TopicSpec("the user id", "in", "user and membership commands and queries"),
    Topic.REPORT_COMMANDS: TopicSpec("any", "in", "report requests"),
    Topic.IMPORT_COMMANDS: TopicSpec("the import's id", "in", "lists of users, piece by piece"),
    Topic.SEGMENT_EVENTS: TopicSpec("the segment", "out", "what happened to segments"),
    Topic.MEMBERSHIP_EVENTS: TopicSpec("the user id", "out", "what happened to users' memberships"),
    Topic.REPORT_EVENTS: TopicSpec("the month, YYYY-MM", "out", "published and failed reports"),
    Topic.IMPORT_EVENTS: TopicSpec("the import's id", "out", "how far lists are, and what came of them"),
    Topic.MEMBERSHIPS: TopicSpec(
        "the user id",
        "state",
        "which segments each user is in; only with `SEGMENTATION_STATE_TOPIC=on`",
        "compact",
    ),
    Topic.REJECTIONS: TopicSpec("the command's own key", "out", "every record that was not applied, and why"),
    Topic.REPLIES: TopicSpec(
        "the query's key", "out", "answers to queries, unless the query names another topic in `replyto`"
    ),
    Topic.RELAY_POSITIONS: TopicSpec("the relay", "internal", "how far the relay has published", "compact"),
}


def topic_name(prefix: str, topic: Topic) -> str:
    """The topic's full name in Kafka, such as `segmentation.segment-commands`."""
    return f"{prefix}.{topic.value}"


def may_be_replied_to(prefix: str, patterns: Iterable[str], name: str) -> bool:
    """Whether a query may have its answer on topic `name`: one that a pattern allows, and not another of our own.

    A query's `replyto` comes from outside; an answer among the commands or the relay's positions would do harm, and so
    would one in a topic that has nothing to do with this deployment.
    """
    if name in {topic_name(prefix, topic) for topic in Topic}:
        return name == topic_name(prefix, Topic.REPLIES)
    return any(fnmatchcase(name, pattern) for pattern in patterns)
