"""A deployment with a worker for the whole run, and an empty one for each test that sets it up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import pytest

from tests.acceptance.shell import Shell
from tests.conftest import beside, make_settings
from tests.services import Provided
from tests.support.workers import workers
from worker.kafka import topics
from worker.settings import Settings


@pytest.fixture(scope="session")
async def deployed(
    services: Provided, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Settings]:
    """Its worker runs."""
    name = f"acceptance_{uuid4().hex[:12]}"
    server = await asyncpg.connect(services.database_url)
    try:
        await server.execute(f"create database {name} template {template}")
        settings = make_settings(services.kafka_bootstrap_servers, beside(services.database_url, name))
        await topics.ensure(settings)
        async with workers(settings, 1, tmp_path_factory.mktemp("worker")) as (worker,):
            await worker.start()
            await worker.ready()
            yield settings
        await server.execute(f"drop database {name} with (force)")
    finally:
        await server.close()


@pytest.fixture
def shell(deployed: Settings) -> Shell:
    """For the deployment whose worker runs."""
    return Shell.of(deployed)


@pytest.fixture
def name() -> str:
    """For segments and users that no other test knows."""
    return f"n{uuid4().hex[:12]}"
