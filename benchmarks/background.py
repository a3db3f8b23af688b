"""Rollout, expiry, deletion, import of a million: the job alone, with events, one statement, and the usual loop."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import asyncpg

from benchmarks.usage import rss_mib
from benchmarks.world import USERS, World, worker
from schemas.topics import Topic, topic_name
from worker.jobs.deletion import Deletion
from worker.jobs.expiry import Expiry
from worker.jobs.imports import Imports
from worker.jobs.job import Job
from worker.jobs.rollout import Rollout
from worker.kafka import clients as kafka
from worker.kafka import topics
from worker.postgres.clock import Clock
from worker.postgres.session import Database
from worker.settings import Settings

PERCENTS = (10, 50, 100)
LOOP_USERS = 4_000
"""The loop does so many: it is that much slower."""
MEMBERS = f"""
insert into memberships (user_key, segment_key, included, origin, since, expires_at)
select n, 1, true, 'command', now(), %s from generate_series(1, {USERS}) n
"""
BEGIN = {
    "rollout": "update segments set percent = {percent} where segment_key = 1;"
    " insert into rollouts (segment_key, percent, on_decrease, last_user_key, requested_at)"
    " select 1, {percent}, 'release', max(user_key), now() from users",
    "expiry": MEMBERS % "now() - interval '1 minute'",
    "deletion": MEMBERS % "null" + "; update segments set deleted_at = now() where segment_key = 1;"
    " insert into deletions (segment_key, deleted_at) values (1, now())",
    "import": "insert into imports (import, segment_key, mode, state, registers, began_at, committed_at, received,"
    " command_id, command_source) values"
    f" ('bench', 1, 'add', 'applying', false, now(), now(), {USERS}, gen_random_uuid()::text, '/segmentation/cli');"
    " insert into import_users (import_key, user_id) select 1, user_id from users",
}
APPEND = """
, head as (update journal_head set sequence = sequence + (select count(*) from done) returning sequence)
insert into journal (sequence, time, type, reason, user_id, {column})
select h.sequence - (select count(*) from done) + row_number() over (), now(),
    'membership.changed', '{reason}', u.user_id,
    array[1]
from head h, done d join users u using (user_key)
"""
LIMIT = {
    "rollout": "with done as (insert into memberships (user_key, segment_key, included, origin, since)"
    " select u.user_key, 1, true, 'rollout', now() from users u, segments s"
    " where s.segment_key = 1 and bucket(s.salt, u.user_id) < {percent} * 100 returning user_key)"
    + APPEND.format(column="entered", reason="rollout"),
    "expiry": "with done as (delete from memberships where expires_at <= now() returning user_key)"
    + APPEND.format(column="exited", reason="expiry"),
    "deletion": "with done as (delete from memberships where segment_key = 1 returning user_key)"
    + APPEND.format(column="exited", reason="segment_deleted"),
    "import": "with done as (insert into memberships (user_key, segment_key, included, origin, since)"
    " select user_key, 1, true, 'command', now() from import_users join users using (user_id)"
    " on conflict (user_key, segment_key) do update set included = true, origin = 'command' returning user_key)"
    + APPEND.format(column="entered", reason="import"),
}
DUE_PER_SECOND, DUE_SECONDS, DUE_AFTER_SECONDS = 1_000, 20, 3
DUE = """
insert into memberships (user_key, segment_key, included, origin, since, expires_at)
select user_key, 1, true, 'command', now(), '{begins}'::timestamptz
    + (substr(user_id, 6)::integer + 1) / {rate}.0 * interval '1 second'
from users where substr(user_id, 6)::integer < {count}
"""
JOBS: dict[str, Callable[[Clock], Job]] = {
    "rollout": Rollout,
    "expiry": Expiry,
    "deletion": Deletion,
    "import": partial(Imports, abandoned_after=timedelta(days=1), segments_of_user_max=5_000),
}


async def background(world: World, say: Callable[[str], None]) -> dict[str, Any]:
    """For each kind of work: memberships/s of the job alone, with events, of one statement, of the loop."""
    results = {}
    cases = [("rollout", percent) for percent in PERCENTS] + [("expiry", 0), ("deletion", 0), ("import", 0)]
    for kind, percent in cases:
        say(f"{kind} {percent or ''}")
        name = f"{kind} {percent} %" if percent else kind
        results[name] = {how: await measured(world, kind, percent, how) for how in HOW}
    say("expiries as they fall due")
    results["due"] = {"due": await _due(world)}
    say("the usual loop")
    results["loop"] = {"loop": await _measured(world, "rollout", 100, _loop)}
    return results


Doing = Callable[[World, Settings, str, int], Awaitable[dict[str, Any]]]


async def measured(world: World, kind: str, percent: int, how: str) -> dict[str, Any]:
    """One kind of work, done in one of the ways."""
    return await _measured(world, kind, percent, HOW[how])


async def _measured(world: World, kind: str, percent: int, doing: Doing) -> dict[str, Any]:
    """In a database of its own, with the work ready to begin."""
    async with world.deployment() as settings:
        database = settings.database_url.get_secret_value().rpartition("/")[2]
        await world.execute(BEGIN[kind].format(percent=percent), database)
        await world.execute("vacuum analyze memberships; ", database)
        await world.execute("checkpoint", database)
        return await doing(world, settings, kind, percent)


async def _alone(world: World, settings: Settings, kind: str, percent: int) -> dict[str, Any]:
    """The job's turns, one after the other, without a relay."""
    session = Database(settings).session("bench")
    job = JOBS[kind](lambda: datetime.now(UTC))
    began, done = time.perf_counter(), 0
    while (more := await job.turn(session)) is not None:
        done += more
    await session.close()
    return _rate(done, time.perf_counter() - began)


async def _with_events(world: World, settings: Settings, kind: str, percent: int) -> dict[str, Any]:
    """A worker with its relay, from the first event that a subscriber reads to the last."""
    count = USERS if not percent else await _inside(world, settings, percent)
    reader = await world.process("reader", ["-m", "benchmarks.reader", str(count)], settings)
    async with worker(world, settings) as process:
        await reader.exit
        memory = rss_mib(process.pid)
    read = json.loads(reader.tail())
    return _rate(count, read["last"] - read["first"]) | {"rss_mib": round(memory, 1)}


async def _due(world: World) -> dict[str, Any]:
    """How long after its instant each expiry's event is read, ms, at `DUE_PER_SECOND`."""
    async with world.deployment() as settings, worker(world, settings):
        database = settings.database_url.get_secret_value().rpartition("/")[2]
        begins = datetime.now(UTC) + timedelta(seconds=DUE_AFTER_SECONDS)
        count = DUE_PER_SECOND * DUE_SECONDS
        await world.execute(DUE.format(begins=begins.isoformat(), count=count, rate=DUE_PER_SECOND), database)
        late = sorted(await _lateness(settings, begins.timestamp(), count))
    return {f"p{share}_ms": round(late[count * share // 100] * 1000) for share in (50, 99)} | {
        "max_ms": round(late[-1] * 1000),
        "per_second": DUE_PER_SECOND,
    }


async def _lateness(settings: Settings, begins: float, count: int) -> list[float]:
    name = topic_name(settings.topic_prefix, Topic.MEMBERSHIP_EVENTS)
    partitions = (await topics.partitions(settings))[name]
    places = [kafka.TopicPartition(name, number) for number in range(partitions)]
    late: list[float] = []
    consumer = kafka.reader(settings)
    await consumer.start()
    try:
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        while len(late) < count:
            polled = await consumer.getmany(timeout_ms=1000)
            now = time.time()
            for records in polled.values():
                for record in records:
                    number = int(json.loads(record.value)["data"]["user_id"].rpartition("-")[2]) + 1
                    late.append(now - begins - number / DUE_PER_SECOND)
    finally:
        await consumer.stop()
    return late


async def _one_statement(world: World, settings: Settings, kind: str, percent: int) -> dict[str, Any]:
    """The same rows in one go."""
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    try:
        began = time.perf_counter()
        status = await connection.execute(LIMIT[kind].format(percent=percent), timeout=600)
        return _rate(int(status.rpartition(" ")[2]), time.perf_counter() - began)
    finally:
        await connection.close()


async def _loop(world: World, settings: Settings, kind: str, percent: int) -> dict[str, Any]:
    """As it is usually written: a row, a transaction and an event at a time."""
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    producer = kafka.producer(settings)
    await producer.start()
    topic = topic_name(settings.topic_prefix, Topic.MEMBERSHIP_EVENTS)
    users = await connection.fetch("select user_key, user_id from users limit $1", LOOP_USERS)
    salt = await connection.fetchval("select salt from segments where segment_key = 1")
    began = time.perf_counter()
    for user in users:
        digest = hashlib.sha256(f"{salt}:{user['user_id']}".encode()).digest()
        if int.from_bytes(digest[:8], "big") % 10_000 < Decimal(percent) * 100:
            async with connection.transaction():
                await connection.execute(
                    "insert into memberships (user_key, segment_key, included, origin, since)"
                    " values ($1, 1, true, 'rollout', now()) on conflict do nothing",
                    user["user_key"],
                )
            event = json.dumps({"user_id": user["user_id"], "entered": [1]}).encode()
            await producer.send_and_wait(topic, event, key=user["user_id"].encode())
    seconds = time.perf_counter() - began
    await producer.stop()
    await connection.close()
    return _rate(LOOP_USERS, seconds)


async def _inside(world: World, settings: Settings, percent: int) -> int:
    database = settings.database_url.get_secret_value().rpartition("/")[2]
    sql = f"select count(*) from users u, segments s where segment_key = 1 and bucket(salt, user_id) < {percent} * 100"
    return await world.value(sql, database)


def _rate(done: int, seconds: float) -> dict[str, Any]:
    return {"memberships": done, "seconds": round(seconds, 2), "per_second": round(done / seconds)}


HOW: dict[str, Doing] = {"alone": _alone, "one_statement": _one_statement, "with_events": _with_events}
