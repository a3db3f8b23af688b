"""More PostgreSQL than the run's own: with TLS, with a standby, behind PgBouncer."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from worker.local.guarded import Command, Guarded, Process, guarded
from worker.local.postgres import SUPERUSER, Postgres
from worker.local.server import HOST, free_port

DEBIAN = Path("/usr/lib/postgresql")
READY_SECONDS_MAX = 30


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """One that other users can pass, as PostgreSQL does not run as root."""
    path = Path(tempfile.mkdtemp(prefix="segmentation-test-"))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


class Configured(Postgres):
    """The embedded server with more options."""

    def __init__(self, guard: Guarded, directory: Path, **options: str) -> None:
        directory.mkdir(exist_ok=True)
        super().__init__(guard, directory)
        self._options = options

    def command(self) -> Command:
        """The postmaster's."""
        command = super().command()
        extra = [word for name, value in self._options.items() for word in ("-c", f"{name}={value}")]
        return replace(command, arguments=command.arguments + extra)


class Secured(Configured):
    """Debian's PostgreSQL, as the embedded one has no TLS: it lets in by TLS and by its socket alone."""

    async def prepare(self) -> None:
        """Make the cluster, a certificate authority, and certificates of the server and of one client."""
        self._programs = debian()
        await super().prepare()
        certificates(self.directory)
        hba = f"local all all trust\nhostssl all by_certificate {HOST}/32 cert\nhostssl all all {HOST}/32 trust\n"
        (self._data / "pg_hba.conf").write_text(hba)
        if self._user is not None:
            os.chown(self.directory / "server.key", self._user, -1)


class Standby(Configured):
    """A copy of another server that follows it."""

    def __init__(self, guard: Guarded, directory: Path, primary: Postgres) -> None:
        super().__init__(guard, directory)
        self._primary = primary

    async def prepare(self) -> None:
        """Copy it."""
        if self._user is not None:
            os.chown(self.directory, self._user, -1)
            await asyncio.to_thread(self._come_within_reach)
        program = str(self._programs / "pg_basebackup")
        arguments = [program, "-R", "-c", "fast", "-D", str(self._data), "-d", self._primary.url()]
        await self._guarded.run(self._command("pg_basebackup", arguments), READY_SECONDS_MAX)


def debian() -> Path:
    """The newest programs that Debian's package has installed; skips the test where there are none."""
    found = sorted(DEBIAN.glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if not found or shutil.which("openssl") is None:
        pytest.skip("needs a PostgreSQL with TLS (Debian: apt install postgresql) and openssl")
    return found[-1].parent


def certificates(directory: Path) -> None:
    """ca.crt, server.crt and .key for `localhost`, client.crt and .key for `by_certificate` (with a pass phrase)."""

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=directory, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", "2")
    for authority in ("ca", "other"):
        openssl(
            "req",
            "-x509",
            "-nodes",
            *key,
            "-subj",
            "/CN=test",
            "-keyout",
            f"{authority}.key",
            "-out",
            f"{authority}.crt",
        )
    for name, subject, secret in (
        ("server", "/CN=localhost", ("-nodes",)),
        ("client", "/CN=by_certificate", ("-passout", "pass:sesame")),
    ):
        signed = ("-CA", "ca.crt", "-CAkey", "ca.key", "-addext", "subjectAltName=DNS:localhost")
        openssl(
            "req", "-x509", *key, *secret, *signed, "-subj", subject, "-keyout", f"{name}.key", "-out", f"{name}.crt"
        )


@contextlib.asynccontextmanager
async def pgbouncer(database_port: int, mode: str) -> AsyncIterator[int]:
    """The port of a PgBouncer before that server; skips the test where it is not installed."""
    program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        pytest.skip("needs PgBouncer (Debian: apt install pgbouncer)")
    port = free_port()
    with folder() as directory:
        settings = {
            "listen_addr": HOST,
            "listen_port": port,
            "auth_type": "any",
            "pool_mode": mode,
            "unix_socket_dir": "",
        }
        lines = ["[databases]", f"* = host={HOST} port={database_port} user={SUPERUSER}", "[pgbouncer]"]
        lines += [f"{name} = {value}" for name, value in settings.items()]
        (directory / "pgbouncer.ini").write_text("\n".join(lines) + "\n")
        async with guarded() as guard:
            command = Command(
                name="PgBouncer",
                arguments=[program, str(directory / "pgbouncer.ini")],
                log=directory / "log",
                directory=directory,
                end_signal=signal.SIGINT,
                user=pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None,
            )
            await _listens(port, await guard.start(command))
            yield port


async def _listens(port: int, process: Process) -> None:
    async with asyncio.timeout(READY_SECONDS_MAX):
        while True:
            assert not process.exit.done(), process.tail()
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection(HOST, port)
                writer.close()
                return
            await asyncio.sleep(0.02)
