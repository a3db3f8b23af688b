"""Records as the consumer hands them on, for the tests of what comes after it."""

from __future__ import annotations

from typing import Any

from schemas.commands import COMMANDS, CommandType
from schemas.decode import Command, Refusal, decode
from schemas.producer import new_command
from schemas.topics import topic_name
from worker.line.batch import Received, ReceivedCommand

SOURCE = "/tests"
TIMESTAMP_MS = 1_738_317_600_000
BYTES_MAX = 262_144


def received(
    command: CommandType, data: dict[str, Any], *, offset: int = 0, partition: int = 0, **others: Any
) -> ReceivedCommand[Any]:
    """A good command from its own topic."""
    others.setdefault("id", f"{partition}-{offset}")
    made = new_command(command, data, source=SOURCE, **others)
    topic = COMMANDS[command].topic
    what = decode(made.value, made.headers, made.key, topic, TIMESTAMP_MS, BYTES_MAX)
    assert isinstance(what, Command)
    return Received(topic_name("t", topic), partition, offset, made.key, made.value, len(made.value), what)


def garbage(value: bytes | None, *, offset: int = 0, key: bytes | None = b"k") -> Received[Refusal]:
    """A record that is no command."""
    topic = COMMANDS["user.register"].topic
    what = decode(value, (), key, topic, TIMESTAMP_MS, BYTES_MAX)
    assert isinstance(what, Refusal)
    return Received(topic_name("t", topic), 0, offset, key, value, len(value or b""), what)
