"""A deployment of an earlier version, with data and running workers, is upgraded under load: nothing is lost.

The earlier version is taken from this repository's history, and runs with the libraries of this one.
"""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import sys
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from tests.conftest import beside, make_settings
from tests.services import Provided
from tests.support.audit import audit
from tests.support.line import line
from tests.support.load import Load
from tests.support.workers import Worker, workers
from worker.kafka import topics as kafka_topics
from worker.postgres import migrations
from worker.settings import Settings

EARLIER = "3953b65"
"""The last version whose schema knows neither counts, imports, schedules nor states."""
ROOT = Path(__file__).parents[2]
COUNTED_SECONDS_MAX = 30.0
COUNTED = """
select not exists (
    select from (select segment_key, count(*) as members from memberships where included group by segment_key) m
    full join (select * from segment_counts where members <> 0) c using (segment_key)
    where m.members is distinct from c.members
) and (select t.sequence = h.sequence from tally t, journal_head h)
"""


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the earlier version's code."""
    command = ["git", "archive", EARLIER, "worker", "schemas"]
    try:
        found = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    except OSError as error:
        pytest.skip(f"git can't be run: {error}")
    if found.returncode != 0:
        pytest.skip(f"the commit {EARLIER} is not in this copy of the repository: {found.stderr.decode().strip()}")
    folder = tmp_path_factory.mktemp("earlier")
    with tarfile.open(fileobj=io.BytesIO(found.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture
async def deployed(services: Provided, earlier: Path) -> AsyncIterator[Settings]:
    """A database and topics as the earlier version makes them."""
    name = f"upgrade_{uuid4().hex[:12]}"
    server = await asyncpg.connect(services.database_url)
    await server.execute(f"create database {name}")
    url = beside(services.database_url, name)
    settings = make_settings(services.kafka_bootstrap_servers, url, session_seconds_max=6)
    environment = dict(os.environ) | Worker.environment(settings)
    for command in ("migrate", "topics"):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "worker", command), cwd=earlier, env=environment
        )
        assert await process.wait() == 0
    yield settings
    await server.execute(f"drop database {name} with (force)")
    await server.close()


@pytest.mark.timeout(240)
async def test_a_worker_is_replaced_while_it_works(deployed: Settings, earlier: Path, tmp_path: Path) -> None:
    """The earlier one goes on beside the new schema and the new one, which begins no sooner than that is there."""
    await kafka_topics.ensure(deployed)
    async with workers(deployed, 3, tmp_path) as (old, early, new), line(deployed) as outside:
        old.directory = earlier
        await old.start()
        load = Load(outside, 31)
        await load.populate()
        sending = asyncio.create_task(load.run(stop := asyncio.Event(), bursts_max=400, pause_seconds=0.3))
        await early.start()
        assert await early.ended() == 1
        assert "segmentation migrate" in early.log()
        await migrations.upgrade(deployed)
        await _goes_on(load)
        await new.start()
        await new.ready()
        await _goes_on(load)
        assert await old.stop() == 0, old.log()
        await _goes_on(load)
        stop.set()
        await sending
        await audit(outside, deployed, load.sent, load.garbage)
        await _counted(deployed)


async def _goes_on(load: Load) -> None:
    """What is sent from now on is decided."""
    before = len(load.sent)
    await load.line.until(lambda _: len(load.sent) > before)
    last = load.sent[-1].id
    await load.line.until(lambda said: any(one.cause == last for one in said))


async def _counted(settings: Settings) -> None:
    """The counts, which began with what the earlier version had left, are those of the table."""
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    async with asyncio.timeout(COUNTED_SECONDS_MAX):
        while not await connection.fetchval(COUNTED):
            await asyncio.sleep(0.1)
    await connection.close()
