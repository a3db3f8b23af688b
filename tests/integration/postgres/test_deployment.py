"""Two first starts at once on a new database: one notes the deployment, the other one finds it."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from tests.support.events import rows
from worker import deployment
from worker.errors import ConfigurationError
from worker.postgres.session import Database
from worker.settings import Settings

WAITS = "select count(*) from pg_stat_activity where application_name like '%start' and wait_event_type = 'Lock'"


@pytest.mark.parametrize("is_same", [True, False])
async def test_the_other_one_comes_in_between(settings: Settings, *, is_same: bool) -> None:
    mine = await deployment.identity(settings)
    theirs = mine if is_same else mine | {"group_id": "another"}
    server = await asyncpg.connect(settings.database_url.get_secret_value())
    watcher = await asyncpg.connect(settings.database_url.get_secret_value())
    async with server.transaction():
        await server.execute(
            "insert into deployment (cluster_id, topic_prefix, group_id) values ($1, $2, $3)", *theirs.values()
        )
        checking = asyncio.create_task(deployment.check(settings, Database(settings)))
        async with asyncio.timeout(60):
            while not await watcher.fetchval(WAITS):
                await asyncio.sleep(0.01)
    if is_same:
        await checking
    else:
        with pytest.raises(ConfigurationError, match="belongs to another deployment"):
            await checking
    await server.close()
    await watcher.close()
    assert await rows(settings, "select group_id from deployment") == [{"group_id": theirs["group_id"]}]


async def test_many_first_starts(settings: Settings) -> None:
    await asyncio.gather(*(deployment.check(settings, Database(settings)) for _ in range(8)))
    assert await rows(settings, "select group_id from deployment") == [{"group_id": settings.group_id}]
