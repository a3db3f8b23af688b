"""A deployment of an earlier version, with data and running workers, is upgraded under load: nothing is lost.

The earlier version is taken from this repository's history, and runs with the libraries of this one.
"""

from __future__ import annotations

import asyncio
import io
import os
import signal
import subprocess
import sys
import tarfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from tests.conftest import beside, make_settings
from tests.services import Provided
from tests.support.audit import audit
from tests.support.line import Line, line
from tests.support.load import Load
from tests.support.workers import Worker, workers
from worker.kafka import topics as kafka_topics
from worker.postgres import migrations
from worker.settings import Settings

EARLIER = "3953b65"
"""The last version whose schema knows neither counts, imports, schedules nor states."""
ROOT = Path(__file__).parents[2]
COUNTED_SECONDS_MAX = 30.0
LATER = 24
AHEAD = timedelta(days=300)
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
    """The earlier ones go on beside the new schema and the new one, which begins no sooner than that is there."""
    await kafka_topics.ensure(deployed)
    async with workers(deployed, 4, tmp_path) as (old, last, early, new), line(deployed) as outside:
        for worker in (old, last):
            worker.directory = earlier
            await worker.start()
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
        last.signal(signal.SIGSTOP)  # so that the new one has all partitions, whatever the assignor gives
        kept = await _put_off(outside)
        last.signal(signal.SIGCONT)
        assert await new.stop() == 0, new.log()
        await _fall_due_unnoticed(outside)
        await new.start()
        assert await last.stop() == 0, last.log()
        await _hold_decided(outside, kept)
        await _counted(deployed)


async def _put_off(outside: Line) -> list[str]:
    """Commands that are due in the other order than they come in."""
    await outside.ask("segment.create", {"segment": "later"})
    users = [f"later{number}" for number in range(LATER)]
    for user in users:
        await outside.send("user.register", {"user_id": user})
    for number, user in enumerate(users):
        at = datetime.now(UTC) + AHEAD - timedelta(seconds=number)
        await outside.send("membership.change", {"user_id": user, "add": ["later"]}, id=user, effectiveat=at)
    said = await outside.until(lambda said: {one.cause for one in said} >= set(users))
    assert {one.type for one in said if one.cause in users} == {"command.scheduled"}
    return users[::-1]


async def _fall_due_unnoticed(outside: Line) -> None:
    """They are due while an earlier version has all partitions, publishes, and does what runs by itself."""
    connection = await asyncpg.connect(outside.settings.database_url.get_secret_value())
    await connection.execute("update schedule set effective_at = effective_at - $1::interval", 2 * AHEAD)
    waiting = await connection.fetch("select * from schedule")
    await outside.ask("segment.update", {"segment": "later", "percent": 0})
    await outside.until(
        lambda said: any(one.type == "segment.populated" and one.data["segment"] == "later" for one in said)
    )
    assert await connection.fetch("select * from schedule") == waiting
    await connection.close()


async def _hold_decided(outside: Line, kept: list[str]) -> None:
    """Each of them once, and all in the order in which they were due."""
    said = await outside.until(lambda said: sum(one.cause in kept for one in said) >= 2 * len(kept))
    decided = [one for one in said if one.cause in kept and one.type == "membership.changed"]
    decided.sort(key=lambda one: int(one.event["sequence"]))
    assert [one.cause for one in decided] == kept


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
