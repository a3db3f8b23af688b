"""Names of commands, which are their `source` and `id`: what comes first under a name is decided, and once.

A retry says the same under the same name, and is passed over in silence. Another command under a name that is taken
is a mistake of its sender, who hears of it, once: such a command takes a name of its own, made of both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any

from schemas.decode import Command
from worker.line.batch import ReceivedCommand
from worker.postgres.session import FastUUID, Session


@dataclass(frozen=True, slots=True)
class Named:
    """A batch's commands by what their names say, each kind in the order of the batch."""

    fresh: list[ReceivedCommand[Any]]
    """Never seen before; their names are taken."""
    repeated: list[ReceivedCommand[Any]]
    """Decided before, or earlier in the batch."""
    reused: list[ReceivedCommand[Any]]
    """Under the name of another command, and not told so yet."""


def command_name(command: Command[Any]) -> bytes:
    """16 bytes that stand for the command's `source` and `id` in the inbox."""
    return name_of(command.source, command.id)


def name_of(source: str, command_id: str) -> bytes:
    """… of the command that has these."""
    begin = source.encode()
    return blake2b(b"%d:%b%b" % (len(begin), begin, command_id.encode()), digest_size=16).digest()


def reuse_name(command: Command[Any]) -> bytes:
    """The name of a command whose own name another one has taken."""
    content = command.content.to_bytes(8, signed=True)
    return blake2b(command_name(command) + content, digest_size=16).digest()


async def take(session: Session, commands: list[ReceivedCommand[Any]], now: datetime) -> Named:
    """Take the names that are free, and sort the commands by what was found."""
    first: dict[bytes, ReceivedCommand[Any]] = {}
    for record in commands:
        first.setdefault(command_name(record.what), record)
    known = await _claim(session, first, now)
    if not known and len(first) == len(commands):
        return Named(commands, [], [])
    found = Named([], [], [])
    others: dict[bytes, ReceivedCommand[Any]] = {}
    for record in commands:
        name = command_name(record.what)
        decided = known[name] if name in known else first[name].what.content
        if name not in known and first[name] is record:
            found.fresh.append(record)
        elif decided is None or decided == record.what.content or reuse_name(record.what) in others:
            found.repeated.append(record)
        else:
            others[reuse_name(record.what)] = record
    told = await _claim(session, others, now)
    for name, record in others.items():
        (found.repeated if name in told else found.reused).append(record)
    return found


async def _claim(
    session: Session, commands: Mapping[bytes, ReceivedCommand[Any]], now: datetime
) -> dict[bytes, int | None]:
    """Take the names that are free; of the others the contents, None where a version that kept none took it."""
    if not commands:
        return {}
    names = sorted(commands)
    contents = [commands[name].what.content for name in names]
    rows = await session.fetch("inbox_claim", [*map(FastUUID, names)], contents, now)
    if not rows:
        return {}
    known: dict[bytes, int | None] = {row["name"].bytes: None for row in rows}
    # asked by a statement of its own: that one does not see what another transaction has committed while it waited
    for row in await session.fetch("inbox_read", [row["name"] for row in rows]):
        known[row["name"].bytes] = row["content"]
    return known
