"""The AsyncAPI 3.0 document: topics as channels, commands received and events sent, as the worker sees them."""

from collections.abc import Sequence
from typing import Any

from schemas import envelope, jsonschemas
from schemas.commands import COMMANDS, names_on
from schemas.envelope import qualified
from schemas.events import EVENTS
from schemas.state import HEADERS, STATE
from schemas.state import SPEC as STATE_SPEC
from schemas.topics import PREFIX_DEFAULT, TOPICS, Topic

ASYNCAPI = "3.0.0"
CONTRACT_VERSION = "1.0.0"
_KAFKA_BINDING = "0.5.0"

_DESCRIPTION = (
    "Commands in, events out. A command is a CloudEvents 1.0 record in structured mode (content-type "
    "application/cloudevents+json, or none) or in binary mode (ce_ headers). Every command that is not applied is "
    "answered by `command.rejected`. Events come in structured mode; read them with isolation.level=read_committed."
)


def document() -> dict[str, Any]:
    """The whole document, ready for JSON."""
    return {
        "asyncapi": ASYNCAPI,
        "info": {
            "title": "Segmentation",
            "version": CONTRACT_VERSION,
            "description": _DESCRIPTION,
            "license": {"name": "MIT"},
        },
        "defaultContentType": envelope.STRUCTURED,
        "servers": {
            "kafka": {
                "host": "localhost:9092",
                "protocol": "kafka",
                "description": "The brokers of SEGMENTATION_KAFKA_BOOTSTRAP_SERVERS.",
            }
        },
        "channels": {topic.value: _channel(topic) for topic in Topic},
        "operations": _operations(),
        "components": {
            "messages": {name: _message(name) for name in jsonschemas.SPECS} | {STATE: _state()},
            "schemas": jsonschemas.definitions("#/components/schemas/{model}"),
        },
    }


def _channel(topic: Topic) -> dict[str, Any]:
    spec = TOPICS[topic]
    events: list[str] = [name for name, event in EVENTS.items() if topic in event.topics]
    events += [STATE] if topic is STATE_SPEC.topic else []
    return {
        "address": f"{{prefix}}.{topic.value}",
        "description": f"{spec.holds[0].upper()}{spec.holds[1:]}. Record key: {spec.key}.",
        "parameters": {"prefix": {"default": PREFIX_DEFAULT, "description": "SEGMENTATION_TOPIC_PREFIX"}},
        "messages": {_id(name): {"$ref": f"#/components/messages/{name}"} for name in (*names_on(topic), *events)},
        "bindings": {
            "kafka": {
                "topicConfiguration": {"cleanup.policy": [spec.cleanup_policy]},
                "bindingVersion": _KAFKA_BINDING,
            }
        },
    }


def _message(name: str) -> dict[str, Any]:
    spec = jsonschemas.SPECS[name]
    return {
        "name": qualified(name),
        "title": name,
        "summary": (spec.data.__doc__ or "").strip(),
        "contentType": envelope.STRUCTURED,
        "headers": {
            "type": "object",
            "properties": {envelope.CONTENT_TYPE_HEADER: {"type": "string", "const": envelope.STRUCTURED}},
        },
        "payload": {"$ref": f"#/components/schemas/{spec.record.__name__}"},
        "correlationId": {"location": "$message.payload#/correlationid"},
        "bindings": {
            "kafka": {
                "key": {"type": "string", "description": _key(spec.topics)},
                "bindingVersion": _KAFKA_BINDING,
            }
        },
    }


def _state() -> dict[str, Any]:
    """In binary mode, unlike all others."""
    return {
        "name": qualified(STATE),
        "title": STATE,
        "summary": (STATE_SPEC.data.__doc__ or "").strip(),
        "contentType": "application/json",
        "headers": {"type": "object", "properties": {name: {"type": "string"} for name in HEADERS}},
        "payload": {"$ref": f"#/components/schemas/{STATE_SPEC.data.__name__}"},
        "bindings": {
            "kafka": {
                "key": {"type": "string", "description": TOPICS[STATE_SPEC.topic].key},
                "bindingVersion": _KAFKA_BINDING,
            }
        },
    }


def _operations() -> dict[str, Any]:
    operations: dict[str, Any] = {}
    for name, spec in [*jsonschemas.SPECS.items(), (STATE, STATE_SPEC)]:
        action = "receive" if name in COMMANDS else "send"
        for topic in spec.topics:
            where = "" if len(spec.topics) == 1 else "".join(f".{word}" for word in f"on-{topic.value}".split("-"))
            operations[_id(f"{action}.{name}{where}")] = {
                "action": action,
                "channel": {"$ref": f"#/channels/{topic.value}"},
                "messages": [{"$ref": f"#/channels/{topic.value}/messages/{_id(name)}"}],
            }
    replies = f"#/channels/{Topic.REPLIES.value}"
    operations[_id("receive.membership.query")]["reply"] = {
        "address": {
            "location": "$message.payload#/replyto",
            "description": "The topic that the query names; without one, the replies topic.",
        },
        "channel": {"$ref": replies},
        "messages": [{"$ref": f"{replies}/messages/{_id('membership.snapshot')}"}],
    }
    return operations


def _key(topics: Sequence[Topic]) -> str:
    return ", ".join(TOPICS[topic].key for topic in topics)


def _id(name: str) -> str:
    """A name as an identifier: `segment.create` is `segmentCreate`."""
    first, *rest = name.split(".")
    return first + "".join(part.capitalize() for part in rest)
