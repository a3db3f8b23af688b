"""The command line as a person or a script uses it: processes with an environment, text in and text out."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from worker.settings import ENV_PREFIX, Settings

SECONDS_MAX = 60.0
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Shell:
    """A shell with a deployment's settings in its environment."""

    environment: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Settings) -> Shell:
        """With these settings, and none of the environment's."""
        names = settings.model_fields_set - {"database_url"}
        values = {ENV_PREFIX + name.upper(): str(getattr(settings, name)) for name in names}
        return cls(values | {f"{ENV_PREFIX}DATABASE_URL": settings.database_url.get_secret_value()})

    def having(self, **environment: str) -> Shell:
        """The same with more variables."""
        return Shell(self.environment | environment)

    async def start(self, *words: str) -> asyncio.subprocess.Process:
        """A command that goes on; end it with `ending`."""
        inherited = {name: value for name, value in os.environ.items() if not name.upper().startswith(ENV_PREFIX)}
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "worker",
            *words,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=ROOT,
            env=inherited | {"COLUMNS": "200", f"{ENV_PREFIX}ENV_FILE": ""} | self.environment,
            start_new_session=True,
        )

    async def run(self, *words: str, stdin: str | bytes = "") -> Done:
        """A command that ends by itself."""
        given = stdin.encode() if isinstance(stdin, str) else stdin
        async with ending(await self.start(*words)) as process:
            async with asyncio.timeout(SECONDS_MAX):
                out, err = await process.communicate(given)
            return Done(process.returncode or 0, out.decode(), err.decode())

    async def good(self, *words: str, stdin: str | bytes = "") -> str:
        """What a command writes that must succeed and complain of nothing."""
        done = await self.run(*words, stdin=stdin)
        assert (done.code, done.err) == (0, ""), done
        return done.out

    async def bad(self, *words: str, stdin: str = "") -> str:
        """What a command complains of that must fail with exit code 1, and never with a trace."""
        done = await self.run(*words, stdin=stdin)
        assert done.code == 1, done
        assert "Traceback" not in done.err
        return done.err


@contextlib.asynccontextmanager
async def ending(process: asyncio.subprocess.Process) -> AsyncIterator[asyncio.subprocess.Process]:
    """Whatever the test does, the process does not outlive it."""
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def line_of(stream: asyncio.StreamReader | None) -> str:
    """The next line."""
    assert stream is not None
    async with asyncio.timeout(SECONDS_MAX):
        return (await stream.readline()).decode()


async def interrupted(process: asyncio.subprocess.Process, number: signal.Signals = signal.SIGINT) -> int:
    """The exit code after a signal."""
    process.send_signal(number)
    async with asyncio.timeout(SECONDS_MAX):
        return await process.wait()
