"""Kafka and PostgreSQL together, in a folder, for as long as their owner wants them and lives."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from worker.errors import ConfigurationError
from worker.local.guarded import guarded
from worker.local.kafka import Kafka, fetch
from worker.local.postgres import Postgres
from worker.local.server import Server


@dataclass(frozen=True, slots=True)
class Services:
    """The running servers and where they are."""

    kafka: Kafka
    postgres: Postgres

    @property
    def kafka_bootstrap_servers(self) -> str:
        """`host:port` of the broker."""
        return self.kafka.bootstrap_servers

    @property
    def database_url(self) -> str:
        """An empty database's URL; its user may create others."""
        return self.postgres.url()


def _silent(_: str) -> None:
    pass


@contextlib.asynccontextmanager
async def embedded(
    directory: Path | None = None, *, say: Callable[[str], None] = _silent, long_running: bool = False
) -> AsyncIterator[Services]:
    """Start both, and end both with the context, or with this process, even by SIGKILL.

    Data is in a temporary folder that goes away too, or stays in `directory`. `long_running` gives Java its optimising
    compiler, at the price of a slower start. Raises ConfigurationError.
    """
    class_path, java = await fetch(say)
    async with guarded() as guard:
        with _folder(directory) as folder:
            if directory is None:
                guard.remove_at_end(folder)
            kafka = Kafka(guard, _below(folder, "kafka"), class_path, java, long_running=long_running)
            postgres = Postgres(guard, _below(folder, "postgres"))
            say("starting Kafka and PostgreSQL")
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(_launch(kafka))
                    group.create_task(_launch(postgres))
            except* ConfigurationError as errors:
                raise errors.exceptions[0] from None
            yield Services(kafka, postgres)


async def serve(directory: Path | None, print_line: Callable[[str], None], say: Callable[[str], None]) -> None:
    """Start both, print how to reach them as a shell's `export` lines, and stay until cancelled."""
    async with embedded(directory, say=say, long_running=True) as services:
        print_line(f"export SEGMENTATION_KAFKA_BOOTSTRAP_SERVERS={services.kafka_bootstrap_servers}")
        print_line(f"export SEGMENTATION_DATABASE_URL={services.database_url}")
        await asyncio.Event().wait()


async def _launch(server: Server) -> None:
    await server.prepare()
    await server.start()


@contextlib.contextmanager
def _folder(directory: Path | None) -> Iterator[Path]:
    """The folder for the data; a named one is locked against a second owner."""
    if directory is None:
        folder = Path(tempfile.mkdtemp(prefix="segmentation-"))
        folder.chmod(0o711)  # PostgreSQL may have to run as another user, below it
        yield folder
        return
    folder = directory.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(
                f"Other embedded services are using {folder}: stop them first, or name another folder"
            ) from None
        yield folder


def _below(folder: Path, name: str) -> Path:
    path = folder / name
    path.mkdir(exist_ok=True)
    return path
