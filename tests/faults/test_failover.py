"""The primary dies under load and its synchronous standby takes over: the worker finds it, and nothing is lost."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest

from tests.conftest import make_settings
from tests.services import Provided
from tests.support.audit import audit
from tests.support.line import line
from tests.support.load import Load
from tests.support.postgres import Configured, Standby, folder
from tests.support.workers import workers
from worker.kafka import topics
from worker.local.guarded import guarded
from worker.local.postgres import SUPERUSER
from worker.postgres import migrations

BURSTS = 60


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_failover(services: Provided, tmp_path: Path) -> None:
    with folder() as directory:
        async with guarded() as guard:
            first = Configured(guard, directory / "first")
            await first.launch()
            second = Standby(guard, directory / "second", first)
            await second.launch()
            await _run(first.url(), "alter system set synchronous_standby_names to '*'", "select pg_reload_conf()")
            url = f"postgresql://{SUPERUSER}@127.0.0.1:{first.port},127.0.0.1:{second.port}/postgres"
            settings = make_settings(services.kafka_bootstrap_servers, f"{url}?target_session_attrs=primary")
            await migrations.upgrade(settings)
            await topics.ensure(settings)
            async with workers(settings, 1, tmp_path) as (worker,), line(settings) as outside:
                await worker.start()
                load = Load(outside, 31)
                await load.populate()
                sending = asyncio.create_task(load.run(asyncio.Event(), bursts_max=BURSTS, pause_seconds=0.05))
                half = len(load.sent) + BURSTS * 10
                async with asyncio.timeout(60):
                    while len(load.sent) < half:
                        await asyncio.sleep(0.01)
                await first.kill()
                await _run(second.url(), "select pg_promote()")
                await sending
                after = make_settings("localhost:1", second.url())
                await audit(outside, after, load.sent, load.garbage)
                assert (await worker.get("/livez"))[0] == 200
                assert await worker.stop() == 0, worker.log()


async def _run(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    for sql in statements:
        await connection.execute(sql)
    await connection.close()
