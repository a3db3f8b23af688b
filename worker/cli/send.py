"""`send`: one command, or a stream of them from standard input."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Self, get_args
from uuid import uuid4

from rich.markup import escape

from schemas.commands import COMMANDS, CommandType
from schemas.producer import InvalidCommandError, new_command
from schemas.topics import topic_name
from worker.cli.console import err, out
from worker.cli.render import is_unchanged, line
from worker.cli.tail import tail
from worker.errors import ConfigurationError
from worker.kafka import abandon, bounded, producer, translated
from worker.settings import Settings, load

IN_FLIGHT_MAX = 5_000
"""Records handed to the Kafka client and not yet acknowledged."""
ATTRIBUTES = {"type", "data", "id", "source", "time", "correlationid", "replyto", "traceparent"}
IGNORED_ATTRIBUTES = {"specversion", "datacontenttype", "subject"}


@dataclass(frozen=True, slots=True)
class Prepared:
    """A command's record, checked."""

    id: str
    type: CommandType
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


def make(command: dict[str, Any], source: str) -> Prepared:
    """Check a command as the worker would; raises ConfigurationError that says what is wrong with it."""
    unknown = command.keys() - ATTRIBUTES - IGNORED_ATTRIBUTES
    if unknown:
        raise ConfigurationError(f"unknown {', '.join(sorted(unknown))}; a command has {', '.join(sorted(ATTRIBUTES))}")
    name = str(command.get("type", "")).removeprefix("segmentation.").removesuffix(".v1")
    if name not in COMMANDS:
        raise ConfigurationError(f"{name!r} is no command; there are {', '.join(get_args(CommandType))}")
    time = command.get("time")
    command_id = str(command.get("id") or uuid4())
    try:
        made = new_command(
            name,
            command.get("data"),
            source=str(command.get("source") or source),
            id=command_id,
            time=datetime.fromisoformat(time) if time is not None else None,
            correlationid=command.get("correlationid"),
            replyto=command.get("replyto"),
            traceparent=command.get("traceparent"),
        )
    except InvalidCommandError as error:
        details = "".join(f"\n  {item['field']}: {item['message']}" for item in error.refusal.errors)
        raise ConfigurationError(f"{error.refusal.message}{details}") from error
    except (ValueError, TypeError) as error:
        raise ConfigurationError(f"{name}: {error}") from error
    return Prepared(command_id, name, made.key, made.value, list(made.headers))


class Sender:
    """Sends commands to their topics, many on their way at once, and none lost unnoticed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._producer = producer(settings)
        self._room = asyncio.Semaphore(IN_FLIGHT_MAX)
        self._on_their_way: set[asyncio.Future[Any]] = set()
        self._failure: BaseException | None = None

    async def __aenter__(self) -> Self:
        with translated(self._settings):
            try:
                await bounded(self._producer.start(), self._settings.kafka_seconds_max)
            except BaseException:
                await abandon(self._producer.stop())
                raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await abandon(self._producer.stop())

    async def send(self, command: Prepared) -> None:
        """Hand a command over; waits while too many are on their way."""
        await self.send_raw(topic_name(self._settings.topic_prefix, COMMANDS[command.type].topic), command)

    async def send_raw(self, topic: str, record: Prepared) -> None:
        """Hand a record over to a topic that is not judged here."""
        await self._room.acquire()
        with translated(self._settings):
            delivery = await self._producer.send(topic, record.value, key=record.key, headers=record.headers)
        self._on_their_way.add(delivery)
        delivery.add_done_callback(self._delivered)

    async def flush(self) -> None:
        """Wait until Kafka has all of it; raises Unavailable if it refused one."""
        with translated(self._settings):
            if self._on_their_way:
                await asyncio.wait(self._on_their_way)
            if self._failure is not None:
                raise self._failure

    def _delivered(self, delivery: asyncio.Future[Any]) -> None:
        self._room.release()
        self._on_their_way.discard(delivery)
        if not delivery.cancelled() and delivery.exception() is not None:
            self._failure = delivery.exception()


async def send_one(
    command_type: str, data: str | None, command_id: str | None, source: str, wait_seconds: float | None
) -> bool:
    """Send one command; with a limit wait for its outcome and print it. False where it was rejected or none came."""
    settings = load()
    try:
        content = json.loads(data or "{}")
    except ValueError as error:
        raise ConfigurationError(f"the data is not JSON: {error}") from error
    command = make({"type": command_type, "data": content, "id": command_id}, source)
    if wait_seconds is None:
        async with Sender(settings) as sender:
            await sender.send(command)
            await sender.flush()
        out.print(f"sent {command.type} {escape(command.id)}")
        return True
    async with tail(settings) as reading, Sender(settings) as sender:
        await sender.send(command)
        await sender.flush()
        try:
            async with asyncio.timeout(wait_seconds):
                while True:
                    for event in await reading.poll():
                        if event.get("causationid") == command.id:
                            out.print(line(event))
                            return not event["type"].endswith("command.rejected.v1")
        except TimeoutError:
            err.print(
                f"no outcome within {wait_seconds:g} s: either no worker runs (see its log and /readyz), or a command "
                f"with the id {escape(command.id)} and this source was applied before"
            )
            return False


async def send_lines(source: str, wait_seconds: float | None) -> bool:
    """Stream commands from standard input; False where a line was wrong, or a command rejected or without outcome."""
    from worker.cli.stream import Stream  # noqa: PLC0415 - it imports this module

    return await Stream(load(), source, wait_seconds).run()


def outcome(event: dict[str, Any]) -> str:
    """applied, unchanged or rejected."""
    if event["type"].endswith("command.rejected.v1"):
        return "rejected"
    return "unchanged" if is_unchanged(event) else "applied"


def summary(counts: Counter[str]) -> str:
    """The counts in one line."""
    return ", ".join(f"{counts[name]:,} {name}" for name in ("applied", "unchanged", "rejected"))
