"""A worker that is frozen within a transaction holds its locks no longer than the server lets it."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import asyncpg

from tests.support.line import line
from tests.support.workers import workers
from worker.postgres import locks
from worker.settings import Settings

HELD_SECONDS_MAX = 6.0
"""The server's limit is 2 s; the rest is for a machine that is busy."""
APPLYING = """
select count(*) from pg_stat_activity
where datname = current_database() and application_name like 'segmentation apply %' and
"""


async def test_a_frozen_worker_lets_the_others_go_on(settings: Settings, topics: list[str], tmp_path: Path) -> None:
    """It has the structure lock for itself, as it creates a segment, and waits for the counter when it is frozen."""
    sql = await asyncpg.connect(settings.database_url.get_secret_value())
    async with workers(settings, 1, tmp_path) as (worker,), line(settings) as outside:
        await worker.start()
        await worker.ready()
        async with sql.transaction():
            await sql.execute("select from journal_head for update")
            command = await outside.send("segment.create", {"segment": "s"})
            await _until(sql, "wait_event_type = 'Lock'")
            worker.signal(signal.SIGSTOP)
        await _until(sql, "state = 'idle in transaction'")
        async with asyncio.timeout(HELD_SECONDS_MAX), sql.transaction():
            await sql.execute("select pg_advisory_xact_lock(lock_key($1))", locks.STRUCTURE)
        worker.signal(signal.SIGCONT)
        assert (await outside.outcome(command)).type == "segment.created"
        assert len(await outside.settled()) == 1
    await sql.close()


async def _until(sql: asyncpg.Connection[asyncpg.Record], condition: str) -> None:
    """Wait until a session that applies batches is so."""
    async with asyncio.timeout(30):
        while not await sql.fetchval(APPLYING + condition):
            await asyncio.sleep(0.01)
            if sql.is_in_transaction():
                await sql.execute("select pg_stat_clear_snapshot()")
