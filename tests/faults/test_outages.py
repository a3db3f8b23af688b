"""PostgreSQL and Kafka go away under load: nothing is rejected for it, and all goes on by itself."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.conftest import make_settings
from tests.support.audit import audit
from tests.support.events import execute
from tests.support.line import line
from tests.support.load import Load
from tests.support.workers import Worker, workers
from worker.kafka import topics as kafka_topics
from worker.local.server import Server
from worker.local.services import Services
from worker.postgres import migrations
from worker.settings import Settings

BURSTS = 30


@pytest.fixture
async def deployment(own_services: Services) -> Settings:
    """A deployment on services that may be killed; its clients give up early, so that there are many tries.

    By the server's defaults PostgreSQL would lose the last ten seconds of what it acknowledged, and the journal end
    before what Kafka holds.
    """
    settings = make_settings(
        own_services.kafka_bootstrap_servers, own_services.database_url, kafka_seconds_max=5, statement_seconds_max=5
    )
    for setting, value in (("synchronous_commit", "off"), ("wal_writer_delay", "10s")):
        await execute(settings, f"alter system set {setting} to '{value}'")
    await execute(settings, "select pg_reload_conf()")
    await migrations.upgrade(settings)
    await kafka_topics.ensure(settings)
    return settings


@pytest.mark.timeout(300)
@pytest.mark.parametrize("how", ["killed", "stopped", "frozen"])
async def test_postgresql_goes_away(deployment: Settings, own_services: Services, tmp_path: Path, how: str) -> None:
    async with workers(deployment, 1, tmp_path) as (worker,), line(deployment) as outside:
        await worker.start()
        load = Load(outside, 21)
        await load.populate()
        sending = asyncio.create_task(load.run(asyncio.Event(), bursts_max=BURSTS, pause_seconds=0.05))
        await _retries(worker, own_services.postgres, how, "apply")
        await sending
        await audit(outside, deployment, load.sent, load.garbage)
        assert (await worker.get("/livez"))[0] == 200
        assert await worker.stop() == 0, worker.log()
        _is_one_line_an_event(worker)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("how", ["killed", pytest.param("frozen", marks=pytest.mark.slow)])
async def test_kafka_goes_away(deployment: Settings, own_services: Services, tmp_path: Path, how: str) -> None:
    async with workers(deployment, 1, tmp_path) as (worker,), line(deployment) as outside:
        await worker.start()
        load = Load(outside, 22)
        await load.populate()
        await load.run(asyncio.Event(), bursts_max=BURSTS, pause_seconds=0)
        await _go_away(own_services.kafka, how)
        await _retried(worker, "relay")
        await _come_back(own_services.kafka, how)
        await load.run(asyncio.Event(), bursts_max=BURSTS, pause_seconds=0)
        await audit(outside, deployment, load.sent, load.garbage)
        assert (await worker.get("/livez"))[0] == 200
        assert await worker.stop() == 0, worker.log()
        _is_one_line_an_event(worker)


def _is_one_line_an_event(worker: Worker) -> None:
    """The log of a fault that passes: whole, without traces, and asking nobody for anything."""
    lines = [json.loads(line) for line in worker.log().splitlines()]
    assert [line for line in lines if "exception" in line or line["level"] == "error"] == []


async def _retries(worker: Worker, server: Server, how: str, part: str) -> None:
    """The server goes away, the worker tries again and again, the server comes back."""
    await _go_away(server, how)
    await _retried(worker, part)
    await _come_back(server, how)


async def _go_away(server: Server, how: str) -> None:
    match how:
        case "killed":
            await server.kill()
        case "stopped":
            await server.stop()
        case _:
            server.pause()


async def _come_back(server: Server, how: str) -> None:
    if how == "frozen":
        server.resume()
    else:
        await server.start()


async def _retried(worker: Worker, part: str) -> None:
    """Wait until the metrics count a few tries of this part, by a worker that is alive."""
    async with asyncio.timeout(120):
        while True:
            _, text = await worker.get("/metrics")
            name = f'segmentation_retries_total{{part="{part}"}}'
            counts = [float(line.split()[1]) for line in text.splitlines() if line.startswith(name)]
            if counts and counts[0] >= 2:
                assert worker.running
                return
            await asyncio.sleep(0.1)
