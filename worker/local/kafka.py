"""Kafka by its Maven coordinates, on the Java that a wheel carries: one node that is broker and controller."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from worker.errors import ConfigurationError, Unavailable
from worker.kafka.clients import admin
from worker.local import jars
from worker.local.guarded import Command, Guarded
from worker.local.server import HOST, Server, free_port
from worker.settings import Settings

KAFKA_VERSION = "4.3.1"
COORDINATES = f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}+org.slf4j:slf4j-simple:1.7.36"
HEAP_MIB = 512
FORMAT_SECONDS_MAX = 60.0
FETCH_SECONDS_MAX = 900.0
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
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
min.insync.replicas=1
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
    format_options: Sequence[str] = ()

    def __init__(
        self,
        guarded: Guarded,
        directory: Path,
        class_path: str,
        java: Path,
        *,
        kept: bool,
        for_load: bool,
        heap_mib: int,
    ) -> None:
        super().__init__(guarded, directory)
        self._controller_port = free_port()
        self.new_cluster_id = uuid.uuid4().hex
        self._class_path, self._java = class_path, java
        self._kept, self._for_load, self._heap_mib = kept, for_load, heap_mib

    @property
    def bootstrap_servers(self) -> str:
        """For the clients."""
        return f"{HOST}:{self.port}"

    def move(self) -> None:
        """Choose other ports."""
        super().move()
        self._controller_port = free_port()

    async def prepare(self) -> None:
        """Write the properties; format the storage where there is none yet."""
        self._properties.write_text(self.properties())
        if self._cluster_id() is None:
            format_it = ["kafka.tools.StorageTool", "format", f"--cluster-id={self.new_cluster_id}"]
            format_it += ["--ignore-formatted", "-c", str(self._properties), *self.format_options]
            await self._guarded.run(self._java_command("Kafka's format", format_it), FORMAT_SECONDS_MAX)

    def properties(self) -> str:
        """How the broker is set up; of a property that stands twice the last one counts."""
        return PROPERTIES.format(host=HOST, port=self.port, controller_port=self._controller_port, data=self._data)

    def command(self) -> Command:
        """The broker's."""
        return self._java_command(self.name, ["kafka.Kafka", str(self._properties)])

    async def answers(self) -> bool:
        """Whether our broker tells about its cluster."""
        if not await _listens(self.port):
            return False
        settings = Settings.model_construct(kafka_bootstrap_servers=self.bootstrap_servers, kafka_seconds_max=5.0)
        try:
            async with admin(settings) as client:
                cluster = await client.describe_cluster()
        except Unavailable:
            return False
        return bool(cluster["brokers"]) and cluster["cluster_id"] == self._cluster_id()

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    @property
    def _properties(self) -> Path:
        return self.directory / "server.properties"

    def _cluster_id(self) -> str | None:
        """What the storage is formatted with."""
        noted = self._data / "meta.properties"
        lines = noted.read_text().splitlines() if noted.exists() else []
        return next((line.partition("=")[2] for line in lines if line.startswith("cluster.id=")), None)

    def _java_command(self, name: str, arguments: list[str]) -> Command:
        options = [
            f"-Xmx{self._heap_mib}m",
            "-XX:+ExitOnOutOfMemoryError",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        ]
        if not self._for_load:
            options += ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
        return Command(
            name=name,
            arguments=[str(self._java), *options, "-cp", self._class_path, *arguments],
            log=self.directory / "kafka.log",
            directory=self.directory,
            end_signal=signal.SIGTERM if self._kept else signal.SIGKILL,
        )


async def fetch(guarded: Guarded, say: Callable[[str], None]) -> str:
    """The class path of Kafka, whose jars are fetched where they are not there yet; raises ConfigurationError."""
    cache = _cache()
    folder = cache / f"kafka-{KAFKA_VERSION}"
    if not folder.exists():
        say(f"fetching Kafka {KAFKA_VERSION} (44 MB, once)")
        try:
            cache.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix="segmentation-fetch-") as logs:
                guarded.remove_at_end(Path(logs))  # should this process be killed meanwhile
                await guarded.run(_fetching(folder, Path(logs) / "log"), FETCH_SECONDS_MAX)
        except (OSError, ConfigurationError) as error:
            raise ConfigurationError(
                f"Kafka {KAFKA_VERSION} can't be fetched into {cache}. It comes from a Maven repository, once: check "
                "the network, the proxy settings and that the folder can be written (XDG_CACHE_HOME moves it), and "
                "try again; or start services of your own and set SEGMENTATION_KAFKA_BOOTSTRAP_SERVERS and "
                f"SEGMENTATION_DATABASE_URL. {error}"
            ) from error
    return jars.class_path(folder)


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "segmentation"


def _fetching(folder: Path, log: Path) -> Command:
    return Command(
        name="Kafka's fetch",
        arguments=[sys.executable, "-P", str(jars.__file__), COORDINATES, str(folder)],
        log=log,
        directory=folder.parent,
        end_signal=signal.SIGINT,
    )


async def _listens(port: int) -> bool:
    """Whether something accepts connections there: aiokafka would log each try that fails."""
    try:
        _, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return False
    writer.close()
    return True
