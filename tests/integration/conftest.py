"""One deployment with a worker for the tests that need no more than names of their own in it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import pytest

from tests.conftest import beside, make_settings
from tests.services import Provided
from tests.support.line import Line, line, working
from worker.kafka import topics


@pytest.fixture(scope="session")
async def served(services: Provided, template: str) -> AsyncIterator[tuple[Line, asyncio.Task[None]]]:
    """A line with a worker at it, for the whole run."""
    name = f"served_{uuid4().hex[:12]}"
    server = await asyncpg.connect(services.database_url)
    try:
        await server.execute(f"create database {name} template {template}")
        settings = make_settings(services.kafka_bootstrap_servers, beside(services.database_url, name))
        await topics.ensure(settings)
        async with line(settings) as outside, working(settings) as task:
            yield outside, task
        await server.execute(f"drop database {name} with (force)")
    finally:
        await server.close()


@pytest.fixture
def outside(served: tuple[Line, asyncio.Task[None]]) -> Line:
    """The shared line; its worker is alive."""
    assert not served[1].done()
    return served[0]


@pytest.fixture
def name() -> str:
    """For segments and users that no other test knows."""
    return f"n{uuid4().hex[:12]}"
