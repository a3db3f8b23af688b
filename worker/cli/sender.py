"""Commands checked and sent to their topics, many on their way at once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Self, get_args

from schemas.commands import COMMANDS, CommandType
from schemas.decode import Command
from schemas.envelope import unqualified
from schemas.producer import RECORD_BYTES_MAX, InvalidCommandError, Place, judged_command
from schemas.topics import Topic, topic_name
from schemas.values import shown
from worker.errors import ConfigurationError
from worker.kafka import topics
from worker.kafka.clients import (
    abandon,
    bounded,
    explained,
    producer,
    translated,
)
from worker.settings import Settings

IN_FLIGHT_MAX = 5_000
"""Records handed to the Kafka client and not yet acknowledged."""
ATTRIBUTES = ("type", "data", "id", "source", "time", "effectiveat", "correlationid", "replyto", "traceparent")
TAKEN_AS_IS = {"specversion": "1.0", "datacontenttype": "application/json"}
"""What may stand in a line since a CloudEvent has it, and can be nothing else."""


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A command's record, checked."""

    command: Command
    topic: Topic
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]
    is_answered_elsewhere: bool = False
    """Whether it names a topic of its own for the answer."""
    is_named: bool = False
    """Whether its sender has chosen its id, and so may have sent it before."""

    @property
    def id(self) -> str:
        """The command's id."""
        return self.command.id

    @property
    def type(self) -> CommandType:
        """The command's name."""
        return self.command.type


def make(
    command: Mapping[str, Any], source: str, record_bytes_max: int = RECORD_BYTES_MAX, place: Place | None = None
) -> Prepared:
    """Check a command as the worker would; raises ConfigurationError that says what is wrong with it.

    `place` is where the command was sent that a `schedule.cancel` is to cancel.
    """
    given = {name: value for name, value in command.items() if value is not None or name == "data"}
    _check_attributes(given)
    name = _name(given.get("type"))
    if name == "schedule.cancel" and place is None:
        raise ConfigurationError(
            "schedule.cancel goes where the command was sent that it cancels: use `segmentation unschedule ID`, which "
            "knows that place"
        )
    try:
        made, judged = judged_command(
            name,
            given.get("data"),
            source=given.get("source", source),
            id=given.get("id"),
            time=_time("time", given["time"]) if "time" in given else None,
            effectiveat=_time("effectiveat", given["effectiveat"]) if "effectiveat" in given else None,
            correlationid=given.get("correlationid"),
            replyto=given.get("replyto"),
            traceparent=given.get("traceparent"),
            place=place,
            record_bytes_max=record_bytes_max,
        )
    except InvalidCommandError as error:
        refusal = error.refusal
        details = [f"{item['field']} {item['message']}" for item in refusal.errors] or [refusal.message]
        raise ConfigurationError("\n".join(f"{name}: {detail}" for detail in details)) from error
    except TypeError as error:
        raise ConfigurationError(f"{name}: {error}") from error
    topic = place.topic if place else COMMANDS[name].topic
    return Prepared(judged, topic, made.key, made.value, list(made.headers), "replyto" in given, "id" in given)


def _check_attributes(given: Mapping[str, Any]) -> None:
    unknown = given.keys() - {*ATTRIBUTES, *TAKEN_AS_IS}
    if unknown:
        raise ConfigurationError(f"{', '.join(sorted(unknown))}: unknown; a command has {', '.join(ATTRIBUTES)}")
    for name in given.keys() - {"data"}:
        if not isinstance(given[name], str):
            raise ConfigurationError(f"{name} must be text, is {shown(given[name])}")
    for name, expected in TAKEN_AS_IS.items():
        if given.get(name, expected) != expected:
            raise ConfigurationError(f'{name} must be "{expected}", is {shown(given[name])}')


def _name(value: object) -> CommandType:
    """A command's name, short or in full."""
    if value is None:
        raise ConfigurationError("type is missing; it must be one of " + ", ".join(get_args(CommandType)))
    short = unqualified(str(value))
    for name in COMMANDS:
        if name == short:
            return name
    raise ConfigurationError(f"{shown(value)} is no command; there are {', '.join(get_args(CommandType))}")


def _time(name: str, text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise ConfigurationError(f"{name} must be RFC 3339 with a zone, such as 2026-01-31T12:00:00Z, is {shown(text)}")
    return time


class Sender:
    """Sends commands to their topics, many on their way at once, and none lost unnoticed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._producer = producer(settings)
        self._room = asyncio.Semaphore(IN_FLIGHT_MAX)
        self._on_their_way: set[asyncio.Future[Any]] = set()
        self._failure: BaseException | None = None

    async def __aenter__(self) -> Self:
        try:
            await self._require_topics()
            async with explained(self._settings):
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
        """Hand a command over; waits while too many are on their way. Raises Unavailable if an earlier one failed."""
        topic = topic_name(self._settings.topic_prefix, command.topic)
        await self.send_raw(topic, command.key, command.value, command.headers)

    async def send_raw(self, topic: str, key: bytes, value: bytes, headers: list[tuple[str, bytes]]) -> None:
        """Hand a record over to a topic that is not judged here."""
        await self._room.acquire()
        with translated(self._settings):
            if self._failure is not None:
                raise self._failure
            delivery = await self._producer.send(topic, value, key=key, headers=headers)
        self._on_their_way.add(delivery)
        delivery.add_done_callback(self._delivered)

    async def flush(self) -> None:
        """Wait until Kafka has all of it; raises Unavailable if it refused one."""
        with translated(self._settings):
            if self._on_their_way:
                await asyncio.wait(self._on_their_way)
            if self._failure is not None:
                raise self._failure

    async def _require_topics(self) -> None:
        """Sending to a missing topic would create it on a broker that does so by itself, and not as it must be."""
        wanted = {topic_name(self._settings.topic_prefix, spec.topic) for spec in COMMANDS.values()}
        missing = wanted - (await topics.partitions(self._settings)).keys()
        if missing:
            raise ConfigurationError(
                f"Kafka at {self._settings.kafka_bootstrap_servers} lacks the topics {', '.join(sorted(missing))}: "
                "run `segmentation topics`"
            )

    def _delivered(self, delivery: asyncio.Future[Any]) -> None:
        self._room.release()
        self._on_their_way.discard(delivery)
        if not delivery.cancelled() and delivery.exception() is not None:
            self._failure = delivery.exception()
