"""What every benchmark starts from: embedded services, users and segments, and commands in Kafka."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4
from zlib import crc32

import aiohttp
import asyncpg

from schemas.envelope import STRUCTURED_HEADERS
from schemas.topics import Topic, topic_name
from worker.kafka import clients as kafka
from worker.kafka import topics
from worker.local.guarded import Command, Guarded, Process
from worker.local.server import HOST, free_port
from worker.local.services import Services
from worker.postgres import migrations
from worker.settings import ENV_PREFIX, Settings

USERS = 1_000_000
SEGMENTS = 1_000
PARTITIONS = 12
READY_SECONDS_MAX = 120
FILL = f"""
insert into users (user_id, registered_at) select 'user-' || n, now() from generate_series(0, {USERS - 1}) n;
insert into segments (segment, segment_id, salt, created_at, updated_at)
select 'segment-' || n, gen_random_uuid(), gen_random_uuid(), now(), now() from generate_series(0, {SEGMENTS - 1}) n;
"""


@dataclass(frozen=True, slots=True)
class World:
    """Services with a database template that has all users and segments."""

    services: Services
    guard: Guarded
    folder: Path

    async def prepare(self) -> None:
        """Make the template."""
        await self.execute("create database filled")
        await migrations.upgrade(self.settings("filled"))
        await self.execute(FILL, "filled")
        await self.execute("vacuum analyze", "filled")

    def settings(self, database: str, **others: object) -> Settings:
        """A deployment of its own on that database."""
        name = f"b{uuid4().hex[:8]}"
        values: dict[str, Any] = {
            "kafka_bootstrap_servers": self.services.kafka_bootstrap_servers,
            "database_url": self.services.postgres.url(database),
            "topic_prefix": name,
            "group_id": name,
            "topic_partitions": PARTITIONS,
            "http_address": f"{HOST}:{free_port()}",
        }
        values.update(others)
        return Settings(**values)

    async def execute(self, sql: str, database: str = "postgres") -> None:
        """Run SQL."""
        connection = await asyncpg.connect(self.services.postgres.url(database))
        try:
            await connection.execute(sql, timeout=1800)
        finally:
            await connection.close()

    async def value(self, sql: str, database: str) -> int:
        """The one number that a query returns."""
        connection = await asyncpg.connect(self.services.postgres.url(database))
        try:
            return int(await connection.fetchval(sql, timeout=600))
        finally:
            await connection.close()

    @contextlib.asynccontextmanager
    async def deployment(self, template: str = "filled", **others: object) -> AsyncIterator[Settings]:
        """A database from the template, and topics; both are deleted again."""
        database = f"run_{uuid4().hex[:8]}"
        await self.execute(f"create database {database} template {template} strategy file_copy")
        await self.execute("checkpoint")
        settings = self.settings(database, **others)
        names = await topics.ensure(settings)
        try:
            yield settings
        finally:
            async with kafka.admin(settings) as client:
                await client.delete_topics(names)
            await self.execute(f"drop database {database} with (force)")

    async def process(self, name: str, arguments: list[str], settings: Settings) -> Process:
        """A Python process of ours with these settings."""
        environment = {
            ENV_PREFIX + field.upper(): str(getattr(settings, field))
            for field in settings.model_fields_set - {"database_url"}
        }
        environment[f"{ENV_PREFIX}DATABASE_URL"] = settings.database_url.get_secret_value()
        environment |= {f"{ENV_PREFIX}LOG_LEVEL": "warning", f"{ENV_PREFIX}ENV_FILE": ""}
        log = self.folder / f"{name}-{uuid4().hex[:4]}.log"
        return await self.guard.start(
            Command(name, [sys.executable, *arguments], log, Path.cwd(), signal.SIGKILL, environment=environment)
        )


@contextlib.asynccontextmanager
async def worker(world: World, settings: Settings) -> AsyncIterator[Process]:
    """A worker that is ready; stopped at the end."""
    process = await world.process("worker", ["-m", "worker", "run"], settings)
    try:
        await ready(settings, process)
        yield process
    finally:
        await stop(process)


async def stop(process: Process) -> None:
    """SIGTERM, and wait."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGTERM)
    await asyncio.wait({process.exit}, timeout=60)


async def ready(settings: Settings, process: Process) -> None:
    """Wait until the worker's partitions have their positions."""
    async with asyncio.timeout(READY_SECONDS_MAX), aiohttp.ClientSession() as session:
        while True:
            if process.exit.done():
                raise RuntimeError(f"the worker has ended: {process.tail()}")
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(f"http://{settings.http_address}/readyz") as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(0.02)


async def preload(settings: Settings, count: int, seed: int, attributes: bytes = b"") -> None:
    """Commands in the topic, each of which adds a random user to a random segment; ids are random UUIDs.

    `attributes` are more of theirs, as JSON.
    """
    chance = random.Random(seed)
    topic = topic_name(settings.topic_prefix, Topic.MEMBERSHIP_COMMANDS)
    headers = list(STRUCTURED_HEADERS)
    producer = kafka.producer(settings)
    await producer.start()
    try:
        batches = [producer.create_batch() for _ in range(PARTITIONS)]
        sent: set[asyncio.Future[object]] = set()
        for _ in range(count):
            user, value = command(chance, attributes)
            partition = crc32(user) % PARTITIONS
            arguments = {"timestamp": None, "key": user, "value": value, "headers": headers}
            if batches[partition].append(**arguments) is None:
                sent.add(await producer.send_batch(batches[partition], topic, partition=partition))
                batches[partition] = producer.create_batch()
                batches[partition].append(**arguments)
                if len(sent) > PARTITIONS * 4:
                    _, sent = await asyncio.wait(sent, return_when=asyncio.FIRST_COMPLETED)
        for partition, batch in enumerate(batches):
            sent.add(await producer.send_batch(batch, topic, partition=partition))
        await asyncio.gather(*sent)
    finally:
        await producer.stop()


def command(chance: random.Random, attributes: bytes = b"") -> tuple[bytes, bytes]:
    """A user's id and the value of a command as a producer's CloudEvents library writes it."""
    user = b"user-%d" % chance.randrange(USERS)
    return user, (
        b'{"specversion":"1.0","id":"%b","source":"/shop/checkout","type":"segmentation.membership.change.v1",'
        b'"time":"2026-06-01T12:00:00Z","datacontenttype":"application/json",%b'
        b'"data":{"user_id":"%b","add":["segment-%d"]}}'
        % (str(UUID(int=chance.getrandbits(128), version=4)).encode(), attributes, user, chance.randrange(SEGMENTS))
    )
