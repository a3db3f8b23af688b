"""The limit: the same rows by set-based SQL from one session, keys known beforehand, no Kafka, nothing checked."""

from __future__ import annotations

import time
from typing import Any

import asyncpg

from benchmarks.world import SEGMENTS, USERS, World

STAGE = f"""
create unlogged table staged as
select n, gen_random_uuid() as name, gen_random_uuid()::text as id,
    1 + floor(random() * {USERS})::bigint as user_key, 1 + floor(random() * {SEGMENTS})::integer as segment_key
from generate_series(1, %d) n;
alter table staged add primary key (n);
analyze staged
"""
WRITE = """
with taken as (
    select s.*, 'user-' || (s.user_key - 1) as user_id from staged s where n > $1 and n <= $2
), member as (
    insert into memberships (user_key, segment_key, included, origin, since)
    select distinct user_key, segment_key, true, 'command'::membership_origin, now() from taken
    order by user_key, segment_key
    on conflict do nothing
), named as (
    insert into inbox (name, seen_at) select name, now() from taken order by name on conflict do nothing
), counted as (
    update journal_head set sequence = $2
)
insert into journal (sequence, time, type, reason, user_id, entered, command_id, command_source)
select n, now(), 'membership.changed', 'command', user_id, array[segment_key], id, '/shop/checkout' from taken
"""
BATCHES = (2_000, 10_000, 50_000)


async def limit(world: World, commands: int) -> dict[str, Any]:
    """Rows/s of the fastest batch size."""
    rates = {}
    for batch in BATCHES:
        async with world.deployment() as settings:
            connection = await asyncpg.connect(settings.database_url.get_secret_value())
            try:
                await connection.execute(STAGE % commands, timeout=600)
                await connection.execute("set plan_cache_mode = force_custom_plan; checkpoint", timeout=600)
                began = time.perf_counter()
                for begin in range(0, commands, batch):
                    await connection.execute(WRITE, begin, min(begin + batch, commands), timeout=600)
                rates[batch] = round(commands / (time.perf_counter() - began))
            finally:
                await connection.close()
    return {"commands": commands, "commands_per_second": max(rates.values()), "by_batch": rates}
