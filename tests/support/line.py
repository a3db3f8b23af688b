"""The outside of the line: sends commands and reads what the worker says, as other services do."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from schemas.commands import COMMANDS, CommandType
from schemas.producer import new_command
from schemas.topics import TOPICS, Topic, topic_name
from worker import app
from worker.kafka import clients as kafka
from worker.kafka import topics as kafka_topics
from worker.settings import Settings

WAIT_SECONDS_MAX = 60.0
SOURCE = "/tests"
JSON_HEADERS = [("content-type", b"application/cloudevents+json")]


@dataclass(frozen=True, slots=True)
class Said:
    """A record that the worker wrote."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    headers: dict[str, bytes]
    event: dict[str, Any]

    @property
    def type(self) -> str:
        """The event's type without what all have in common."""
        return str(self.event["type"]).removeprefix("segmentation.").removesuffix(".v1")

    @property
    def data(self) -> dict[str, Any]:
        """The event's data."""
        found: dict[str, Any] = self.event["data"]
        return found

    @property
    def cause(self) -> str | None:
        """The id of the command that it came from."""
        return self.event.get("causationid")


class Line:
    """A producer of commands, and a reader of everything that the worker writes, from the beginning."""

    def __init__(self, settings: Settings, producer: kafka.AIOKafkaProducer, reader: kafka.AIOKafkaConsumer) -> None:
        self.settings, self.producer, self._reader = settings, producer, reader
        self.said: list[Said] = []

    def topic(self, topic: Topic) -> str:
        """The topic's full name."""
        return topic_name(self.settings.topic_prefix, topic)

    async def send(self, command: CommandType, data: dict[str, Any], *, id: str | None = None, **others: Any) -> str:  # noqa: A002
        """Send a command and return its id."""
        command_id = id or str(uuid4())
        partition = others.pop("partition", None)
        made = new_command(command, data, source=SOURCE, id=command_id, **others)
        topic = others["place"].topic if "place" in others else COMMANDS[command].topic
        await self.send_raw(topic, made.value, made.key, list(made.headers), partition=partition)
        return command_id

    async def send_at(self, command: CommandType, data: dict[str, Any], at: datetime) -> str:
        """Send a command without a time in a record of that timestamp, and return its id."""
        command_id = str(uuid4())
        made = new_command(command, data, source=SOURCE, id=command_id)
        timestamp_ms = int(at.timestamp() * 1000)
        topic, headers = self.topic(COMMANDS[command].topic), list(made.headers)
        await self.producer.send_and_wait(topic, made.value, key=made.key, headers=headers, timestamp_ms=timestamp_ms)
        return command_id

    async def send_raw(
        self,
        topic: Topic,
        value: bytes | None,
        key: bytes | None,
        headers: Sequence[tuple[str, bytes]] = (),
        *,
        partition: int | None = None,
    ) -> None:
        """Send a record and wait until Kafka has it."""
        await self.producer.send_and_wait(self.topic(topic), value, key=key, headers=list(headers), partition=partition)

    async def until(self, enough: Callable[[list[Said]], bool], seconds: float = WAIT_SECONDS_MAX) -> list[Said]:
        """Read on until what was said so far is enough; all of it is returned, as read `read_committed`."""
        try:
            async with asyncio.timeout(seconds):
                while not enough(self.said):
                    polled = await self._reader.getmany(timeout_ms=100)
                    for records in polled.values():
                        self.said += [_said(record) for record in records]
        except TimeoutError:
            numbers = {int(one.event["sequence"]) for one in self.said if "sequence" in one.event}
            missing = [number for number in range(1, max(numbers, default=0)) if number not in numbers]
            last = [(one.type, one.key, one.event.get("sequence")) for one in self.said[-5:]]
            raise AssertionError(
                f"not enough was said in {seconds} s: {len(self.said)} events, the last {last}; of the numbers up to "
                f"{max(numbers, default=0)} are missing {len(missing)}, such as {missing[:10]}"
            ) from None
        return self.said

    async def outcome(self, command_id: str) -> Said:
        """The one event that a command caused."""
        said = await self.until(lambda said: any(one.cause == command_id for one in said))
        found = [one for one in said if one.cause == command_id]
        assert len(found) == 1, found
        return found[0]

    async def ask(self, command: CommandType, data: dict[str, Any], **others: Any) -> Said:
        """Send a command and return its outcome."""
        return await self.outcome(await self.send(command, data, **others))

    async def settled(self) -> list[Said]:
        """Everything that was said until a command that is sent now was answered; nothing is on its way after it."""
        user = f"sentinel-{uuid4().hex[:8]}"
        counts = await kafka_topics.partitions(self.settings)
        for partition in range(counts[self.topic(Topic.MEMBERSHIP_COMMANDS)]):
            await self.outcome(await self.send("user.register", {"user_id": user}, partition=partition))
        return [one for one in self.said if one.data.get("user_id") != user]


@contextlib.asynccontextmanager
async def line(settings: Settings, sending: Settings | None = None) -> AsyncIterator[Line]:
    """An open line to the deployment's topics; `sending` is who sends, if that is another one."""
    wanted = {topic_name(settings.topic_prefix, topic) for topic in Topic if TOPICS[topic].direction == "out"}
    counts = await kafka_topics.partitions(settings)
    places = [kafka.TopicPartition(name, number) for name in wanted for number in range(counts[name])]
    producer = kafka.producer(sending or settings)
    reader = kafka.reader(settings)
    try:
        await producer.start()
        await reader.start()
        reader.assign(places)
        await reader.seek_to_beginning(*places)
        yield Line(settings, producer, reader)
    finally:
        await kafka.abandon(producer.stop())
        await kafka.abandon(reader.stop())


@contextlib.asynccontextmanager
async def working(settings: Settings) -> AsyncIterator[asyncio.Task[None]]:
    """A worker in this process, stopped gracefully at the end; its own failure is the test's."""
    stop, ready = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(app.run(settings, ready=ready, stop=stop))
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        waiting.cancel()
        task.result()
    try:
        yield task
    finally:
        stop.set()
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            await task


async def said_in(settings: Settings, topic: str, count: int) -> list[Said]:
    """The first so many records of a topic that is none of the deployment's, of one partition."""
    partition = kafka.TopicPartition(topic, 0)
    found: list[Said] = []
    reader = kafka.reader(settings)
    try:
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            await reader.start()
            reader.assign([partition])
            while len(found) < count:
                polled = await reader.getmany(timeout_ms=100)
                found += [_said(record) for record in polled.get(partition, [])]
    finally:
        await kafka.abandon(reader.stop())
    return found


def _said(record: kafka.ConsumerRecord) -> Said:
    event = json.loads(record.value)
    datetime.fromisoformat(event["time"])
    return Said(record.topic, record.partition, record.offset, record.key, dict(record.headers), event)
