"""The usual way to write such a consumer: at least once, a transaction and a send for each command.

`python -m benchmarks.peers.plain COUNT` prints commands/s as JSON. It does less than the worker: no exactly-once, no
order of a journal, no expiry rules.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from datetime import UTC, datetime
from uuid import uuid4

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from pydantic import BaseModel

from worker.settings import load


class Data(BaseModel):
    """A command's data."""

    user_id: str
    add: list[str] = []
    remove: list[str] = []


class Command(BaseModel):
    """A command."""

    id: str
    source: str
    type: str
    data: Data


async def apply(pool: asyncpg.Pool[asyncpg.Record], command: Command) -> list[str]:
    """One transaction: deduplicate, look up, write; the segments that the user entered."""
    entered = []
    async with pool.acquire() as connection, connection.transaction():
        fresh = await connection.fetchval(
            "insert into plain_inbox (source, id) values ($1, $2) on conflict do nothing returning true",
            command.source,
            command.id,
        )
        if not fresh:
            return []
        user = await connection.fetchval("select user_key from users where user_id = $1", command.data.user_id)
        for name in command.data.add:
            segment = await connection.fetchval(
                "select segment_key from segments where segment = $1 and deleted_at is null", name
            )
            if user is not None and segment is not None:
                await connection.execute(
                    "insert into memberships (user_key, segment_key, origin, included, since)"
                    " values ($1, $2, 'command', true, now()) on conflict do nothing",
                    user,
                    segment,
                )
                entered.append(name)
        await connection.execute(
            "insert into plain_history (user_id, entered, at) values ($1, $2, now())", command.data.user_id, entered
        )
    return entered


async def main(count: int) -> None:
    """Consume, apply, send, commit."""
    settings = load()
    prefix = settings.topic_prefix
    pool = await asyncpg.create_pool(settings.database_url.get_secret_value())
    await pool.execute("create table plain_inbox (source text, id text, primary key (source, id))")
    await pool.execute("create table plain_history (user_id text, entered text[], at timestamptz)")
    consumer = AIOKafkaConsumer(
        f"{prefix}.membership-commands",
        bootstrap_servers=settings.kafka_bootstrap_servers,
        group_id=f"{prefix}-plain",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap_servers, enable_idempotence=True)
    await producer.start()
    await consumer.start()
    done, began = 0, 0.0
    async for record in consumer:
        began = began or time.perf_counter()
        command = Command.model_validate_json(record.value)
        entered = await apply(pool, command)
        event = {
            "specversion": "1.0",
            "id": str(uuid4()),
            "source": "/plain",
            "type": "segmentation.membership.changed.v1",
            "time": datetime.now(UTC).isoformat(),
            "data": {"user_id": command.data.user_id, "entered": entered},
        }
        await producer.send_and_wait(f"{prefix}.membership-events", json.dumps(event).encode(), key=record.key)
        done += 1
        if done % 100 == 0:
            await consumer.commit()
        if done == count:
            break
    print(json.dumps({"commands": done, "commands_per_second": round(done / (time.perf_counter() - began))}))
    await consumer.stop()
    await producer.stop()
    await pool.close()


asyncio.run(main(int(sys.argv[1])))
