"""What tests share: the services of the run, and for each test a migrated database and topics of its own."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import pytest
import structlog

from tests.services import Provided, provide
from worker.errors import Unavailable
from worker.kafka import topics
from worker.kafka.clients import KafkaError, admin, bounded
from worker.local.services import Services, embedded
from worker.postgres import migrations
from worker.settings import Settings

TEMPLATE = "segmentation_template"

os.environ["SEGMENTATION_ENV_FILE"] = ""  # what a developer has in `.env` is not for the tests

# the log of a worker in this process goes to standard error, where the command line's results do not go
structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr), cache_logger_on_first_use=False)


@pytest.fixture(scope="session")
async def services() -> AsyncIterator[Provided]:
    """Kafka and PostgreSQL for the whole run."""
    async with provide() as provided:
        yield provided


@pytest.fixture
async def own_services() -> AsyncIterator[Services]:
    """Kafka and PostgreSQL for one test that stops and kills them."""
    async with embedded(long_running=True) as started:
        yield started


@pytest.fixture(scope="session")
async def template(services: Provided) -> AsyncIterator[str]:
    """A migrated database that the tests' own are copied from."""
    name = f"{TEMPLATE}_{uuid4().hex[:8]}"
    await _administer(services.database_url, f"create database {name}")
    await migrations.upgrade(make_settings(services.kafka_bootstrap_servers, beside(services.database_url, name)))
    yield name
    await _administer(services.database_url, f"drop database {name} with (force)")


@pytest.fixture
async def database_url(services: Provided, template: str) -> AsyncIterator[str]:
    """A migrated database of the test's own."""
    name = f"test_{uuid4().hex[:12]}"
    await _administer(services.database_url, f"create database {name} template {template}")
    yield beside(services.database_url, name)
    await _administer(services.database_url, f"drop database {name} with (force)")


@pytest.fixture
async def empty(services: Provided) -> AsyncIterator[Settings]:
    """A database without a schema, and no topics."""
    name = f"empty_{uuid4().hex[:12]}"
    await _administer(services.database_url, f"create database {name}")
    yield make_settings(services.kafka_bootstrap_servers, beside(services.database_url, name))
    await _administer(services.database_url, f"drop database {name} with (force)")


@pytest.fixture
def topic_prefix() -> str:
    """The first part of the names of the test's own topics."""
    return _new_name()


@pytest.fixture
async def settings(services: Provided, database_url: str, topic_prefix: str) -> Settings:
    """A deployment of the test's own; its topics come with the fixture `topics`."""
    return make_settings(services.kafka_bootstrap_servers, database_url, topic_prefix=topic_prefix)


@pytest.fixture(name="topics")
async def created_topics(settings: Settings) -> AsyncIterator[list[str]]:
    """The deployment's topics."""
    names = await topics.ensure(settings)
    yield names
    with contextlib.suppress(KafkaError, Unavailable, TimeoutError):
        async with admin(settings) as client:
            await bounded(client.delete_topics(names), 10)


def make_settings(kafka_bootstrap_servers: str, database_url: str, **others: object) -> Settings:
    """Settings that depend on no environment variable; prefix and group are new."""
    name = _new_name()
    values: dict[str, Any] = {
        "_env_prefix": f"{name}_",
        "kafka_bootstrap_servers": kafka_bootstrap_servers,
        "database_url": database_url,
        "topic_prefix": name,
        "group_id": name,
        "http_address": "",
        "topic_partitions": 3,
        "log_level": "warning",
    }
    values.update(others)
    return Settings(**values)


def beside(url: str, database: str) -> str:
    """The URL of another database of the same server."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


def _new_name() -> str:
    return f"t{uuid4().hex[:12]}"


async def _administer(url: str, sql: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()
