"""Real Kafka and PostgreSQL for the tests: those that the environment names, else Docker's, else embedded ones."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from worker.errors import Unavailable
from worker.kafka import admin
from worker.local.server import free_port
from worker.local.services import embedded
from worker.settings import Settings

CHOICE = "SEGMENTATION_TEST_SERVICES"
KAFKA = "SEGMENTATION_TEST_KAFKA_BOOTSTRAP_SERVERS"
DATABASE = "SEGMENTATION_TEST_DATABASE_URL"
KAFKA_IMAGE = "apache/kafka:4.3.1"
POSTGRES_IMAGE = "postgres:18"
DOCKER_SECONDS_MAX = 120


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
            yield Provided(os.environ[KAFKA], os.environ[DATABASE])
        case "docker":
            with _docker() as provided:
                await _answers(provided)
                yield provided
        case "embedded":
            async with embedded(long_running=True) as services:
                yield Provided(services.kafka_bootstrap_servers, services.database_url)
        case other:
            raise ValueError(f"{CHOICE} must be environment, docker or embedded, not {other}")


def _choice() -> str:
    if KAFKA in os.environ and DATABASE in os.environ:
        return "environment"
    return "docker" if _docker_has_images() else "embedded"


def _docker_has_images() -> bool:
    """Whether an engine answers and has both images; one that had to pull them first would be slower than embedded."""
    docker = shutil.which("docker")
    if docker is None:
        return False
    looking = [docker, "image", "inspect", KAFKA_IMAGE, POSTGRES_IMAGE]
    try:
        return subprocess.run(looking, capture_output=True, timeout=10, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


@contextlib.contextmanager
def _docker() -> Iterator[Provided]:
    """Containers by testcontainers. Its reaper is a third image, and has the engine's socket: ours is a process."""
    os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.docker_client import DockerClient
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy

    host, port = DockerClient().host(), free_port()
    kafka = DockerContainer(KAFKA_IMAGE).with_bind_ports(port, port)
    for name, value in _kafka_environment(host, port).items():
        kafka = kafka.with_env(name, value)
    postgres = DockerContainer(POSTGRES_IMAGE).with_exposed_ports(5432).with_env("POSTGRES_PASSWORD", "test")
    postgres = postgres.waiting_for(
        LogMessageWaitStrategy("database system is ready to accept connections", times=2).with_startup_timeout(
            DOCKER_SECONDS_MAX
        )
    )
    with kafka, postgres, _reaper(kafka.get_wrapped_container().id, postgres.get_wrapped_container().id):
        url = f"postgresql://postgres:test@{host}:{postgres.get_exposed_port(5432)}/postgres"
        yield Provided(f"{host}:{port}", url)


@contextlib.contextmanager
def _reaper(*containers: str) -> Iterator[None]:
    """Removes the containers when this process ends, also when it is killed."""
    code = "import subprocess, sys; sys.stdin.read(); subprocess.run(['docker', 'rm', '-f', '-v', *sys.argv[1:]])"
    process = subprocess.Popen(
        [sys.executable, "-S", "-c", code, *containers],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        process.kill()
        process.wait()


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
    }
