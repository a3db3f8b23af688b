"""Real Kafka and PostgreSQL for the tests: those that the environment names, else Docker's, else embedded ones."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from uuid import uuid4

import pytest

from worker.errors import Unavailable
from worker.kafka.clients import admin
from worker.local.server import free_port
from worker.local.services import embedded
from worker.settings import Settings

CHOICE = "SEGMENTATION_TEST_SERVICES"
KAFKA = "SEGMENTATION_TEST_KAFKA_BOOTSTRAP_SERVERS"
DATABASE = "SEGMENTATION_TEST_DATABASE_URL"
KAFKA_IMAGE = "apache/kafka:4.3.1"
POSTGRES_IMAGE = "postgres:18"
DOCKER_SECONDS_MAX = 120
ENGINE_SECONDS_MAX = 10
REAPER = """
import sys
import docker
sys.stdin.read()
engine = docker.from_env()
for container in engine.containers.list(all=True):
    if container.name in sys.argv[1:]:
        container.remove(force=True, v=True)
"""


@dataclass(frozen=True, slots=True)
class Provided:
    """Where the services are."""

    kafka_bootstrap_servers: str
    database_url: str


@contextlib.asynccontextmanager
async def provide() -> AsyncIterator[Provided]:
    """The services of the test run; SEGMENTATION_TEST_SERVICES = environment, docker or embedded forces a choice."""
    match os.environ.get(CHOICE) or _choice():
        case "environment":
            yield _of_environment()
        case "docker":
            with _docker() as provided:
                await _answers(provided)
                yield provided
        case "embedded":
            async with embedded(long_running=True) as services:
                yield Provided(services.kafka_bootstrap_servers, services.database_url)
        case other:
            raise pytest.UsageError(f"{CHOICE} must be environment, docker or embedded, not {other}")


def _of_environment() -> Provided:
    missing = [name for name in (KAFKA, DATABASE) if not os.environ.get(name)]
    if missing:
        raise pytest.UsageError(f"{CHOICE} is environment: set {' and '.join(missing)}")
    return Provided(os.environ[KAFKA], os.environ[DATABASE])


def _choice() -> str:
    if os.environ.get(KAFKA) and os.environ.get(DATABASE):
        return "environment"
    return "docker" if _docker_has_images() else "embedded"


def _docker_has_images() -> bool:
    """Whether an engine answers and has both images; one that had to pull them first would be slower than embedded."""
    from docker.errors import DockerException  # type: ignore[import-untyped] # docker has no types
    from testcontainers.core.docker_client import DockerClient

    try:
        engine = DockerClient(timeout=ENGINE_SECONDS_MAX).client
        return all(engine.images.get(image) for image in (KAFKA_IMAGE, POSTGRES_IMAGE))
    except (DockerException, OSError):
        return False


@contextlib.contextmanager
def _docker() -> Iterator[Provided]:
    """Containers by testcontainers, without its reaper: that is a third image, and is given the engine's socket."""
    from testcontainers.core.config import testcontainers_config
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.docker_client import DockerClient
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy

    testcontainers_config.ryuk_disabled = True
    host, port, run = DockerClient().host(), free_port(), f"segmentation-test-{uuid4().hex[:12]}"
    names = (f"{run}-kafka", f"{run}-postgres")
    kafka = DockerContainer(KAFKA_IMAGE).with_name(names[0]).with_bind_ports(port, port)
    for name, value in _kafka_environment(host, port).items():
        kafka = kafka.with_env(name, value)
    postgres = DockerContainer(POSTGRES_IMAGE).with_name(names[1]).with_exposed_ports(5432)
    postgres = postgres.with_env("POSTGRES_PASSWORD", "test").waiting_for(
        LogMessageWaitStrategy("database system is ready to accept connections", times=2).with_startup_timeout(
            DOCKER_SECONDS_MAX
        )
    )
    with _reaper(*names), kafka, postgres:
        url = f"postgresql://postgres:test@{host}:{postgres.get_exposed_port(5432)}/postgres"
        yield Provided(f"{host}:{port}", url)


@contextlib.contextmanager
def _reaper(*names: str) -> Iterator[None]:
    """Removes the containers when this process ends, also when it is killed: then its standard input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", REAPER, *names], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True
    )
    assert process.stdin is not None
    try:
        yield
    finally:
        process.stdin.close()
        process.wait(DOCKER_SECONDS_MAX)


async def _answers(provided: Provided) -> None:
    """Wait until the broker does."""
    settings = Settings.model_construct(kafka_bootstrap_servers=provided.kafka_bootstrap_servers, kafka_seconds_max=5)
    async with asyncio.timeout(DOCKER_SECONDS_MAX):
        while True:
            with contextlib.suppress(Unavailable):
                async with admin(settings) as client:
                    await client.describe_cluster()
                    return
            await asyncio.sleep(0.2)


def _kafka_environment(host: str, port: int) -> dict[str, str]:
    """The broker talks to itself inside the container, so it needs a listener there beside the one for the host."""
    return {
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_LISTENERS": f"INTERNAL://:9092,CONTROLLER://:9093,EXTERNAL://:{port}",
        "KAFKA_ADVERTISED_LISTENERS": f"INTERNAL://localhost:9092,EXTERNAL://{host}:{port}",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT,EXTERNAL:PLAINTEXT",
        "KAFKA_INTER_BROKER_LISTENER_NAME": "INTERNAL",
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_SHARE_COORDINATOR_STATE_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_SHARE_COORDINATOR_STATE_TOPIC_MIN_ISR": "1",
    }
