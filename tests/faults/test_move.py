"""A deployment moves to another server as docs/operations.md says, with its commands and statements."""

from __future__ import annotations

import asyncio
import re
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import asyncpg
import pytest

from tests.conftest import make_settings
from tests.services import Provided
from tests.support.line import Line, line, working
from worker.errors import ConfigurationError
from worker.kafka import topics
from worker.local import postgres
from worker.local.guarded import Guarded, guarded
from worker.local.postgres import Postgres
from worker.local.services import require_installed
from worker.postgres import migrations
from worker.settings import Settings

SECONDS_MAX = 60
DOCUMENT = Path(__file__).parents[2] / "docs" / "operations.md"
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


def documented() -> tuple[str, list[str]]:
    """The command that copies the schema, and the statements, in their order."""
    text = DOCUMENT.read_text(encoding="utf-8").partition("## Move to another server")[2].partition("\n## ")[0]
    blocks = re.findall(r"```(sh|sql)\n(.*?)```", text, flags=re.DOTALL)
    (command,) = [body.strip() for kind, body in blocks if kind == "sh"]
    return command, [body.strip() for kind, body in blocks if kind == "sql"]


@asynccontextmanager
async def server(guard: Guarded, folder: Path, name: str) -> AsyncIterator[Postgres]:
    """A server of the test's own, with a database for the deployment."""
    directory = folder / name
    directory.mkdir()
    made = Postgres(guard, directory)
    await made.launch()
    connection = await asyncpg.connect(made.url())
    await connection.execute("create database segmentation")
    await connection.close()
    yield made


@pytest.fixture
async def servers(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Postgres, Postgres]]:
    """The old and the new one."""
    try:
        require_installed()
    except ConfigurationError as error:
        pytest.skip(str(error))
    monkeypatch.setitem(postgres.OPTIONS, "wal_level", "logical")
    with tempfile.TemporaryDirectory(prefix="segmentation-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        async with guarded() as guard, server(guard, folder, "old") as old, server(guard, folder, "new") as new:
            yield old, new


async def test_a_deployment_moves_with_a_gap_of_seconds(services: Provided, servers: tuple[Postgres, Postgres]) -> None:
    old, new = (one.url("segmentation") for one in servers)
    settings = make_settings(services.kafka_bootstrap_servers, old)
    await migrations.upgrade(settings)
    await topics.ensure(settings)
    copy, (publish, subscribe, copied, compare, take_over) = documented()
    source, target = await asyncpg.connect(old), await asyncpg.connect(new)
    async with line(settings) as outside:
        async with working(settings):
            sent = await _commands(outside, "before")
            _shell(copy, old, new)
            await source.execute(publish)
            await target.execute(subscribe.replace("OLD_CONNECTION", old))
            sent += await _commands(outside, "during")
            await _until(lambda: _is_empty(target, copied))
        sent += [await outside.send("user.register", {"user_id": "gap"})]
        await _until(lambda: _agree(source, target, compare))
        for statement in take_over.split(";"):
            if statement.strip():
                await target.execute(statement)
        await source.close()
        async with working(_moved(settings, new)):
            sent += await _commands(outside, "after")
            outcomes = [await outside.outcome(command) for command in sent]
            assert {one.type for one in outcomes} == {"segment.created", "membership.changed"}
            sequences = sorted(int(one.event["sequence"]) for one in await outside.settled() if one.cause in sent)
    assert sequences == list(range(1, len(sent) + 1))
    assert await target.fetchval("select count(*) from active_memberships") == 3
    await target.close()


async def _commands(outside: Line, name: str) -> list[str]:
    """A segment with a user, and what it takes to know that they are there."""
    segment = await outside.send("segment.create", {"segment": name})
    await outside.outcome(segment)
    user = await outside.send("user.register", {"user_id": name})
    change = await outside.send("membership.change", {"user_id": name, "add": [name]})
    await outside.outcome(change)
    return [segment, user, change]


def _moved(settings: Settings, url: str) -> Settings:
    return Settings(**settings.model_dump(include=settings.model_fields_set) | {"database_url": url})


def _shell(command: str, old: str, new: str) -> None:
    """Run the document's command, with the programs of the embedded server."""
    programs = postgres.programs()
    environment = {"PATH": f"{programs}:/usr/bin:/bin", "OLD_URL": old, "NEW_URL": new}
    subprocess.run(["bash", "-euo", "pipefail", "-c", command], env=environment, check=True, timeout=SECONDS_MAX)


async def _is_empty(connection: Connection, statement: str) -> bool:
    return not await connection.fetch(statement)


async def _agree(one: Connection, other: Connection, statement: str) -> bool:
    return await one.fetch(statement) == await other.fetch(statement)


async def _until(holds: Callable[[], Any]) -> None:
    """Wait for it."""
    async with asyncio.timeout(SECONDS_MAX):
        while not await holds():
            await asyncio.sleep(0.05)
