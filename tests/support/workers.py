"""Workers as processes of their own, to be killed, frozen and started again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp

from worker.local.guarded import Command, Guarded, Process, guarded
from worker.local.server import HOST, free_port
from worker.settings import ENV_PREFIX, Settings

READY_SECONDS_MAX = 60.0


class Worker:
    """One `segmentation run`."""

    def __init__(self, guard: Guarded, settings: Settings, name: str, log: Path) -> None:
        self._guard, self._settings, self.name, self._log = guard, settings, name, log
        self.address = f"{HOST}:{free_port()}"
        self.process: Process | None = None
        self.directory = Path.cwd()
        """Where its code is."""

    @staticmethod
    def environment(settings: Settings) -> dict[str, str]:
        """What says which deployment it is of."""
        names = settings.model_fields_set - {"database_url", "http_address"}
        variables = {ENV_PREFIX + name.upper(): str(getattr(settings, name)) for name in names}
        return variables | {f"{ENV_PREFIX}DATABASE_URL": settings.database_url.get_secret_value()}

    async def start(self, **environment: str) -> None:
        """Start it; returns at once."""
        self.process = await self._guard.start(
            Command(
                name=self.name,
                arguments=[sys.executable, "-m", "worker", "run"],
                log=self._log,
                directory=self.directory,
                end_signal=signal.SIGKILL,
                environment=self.environment(self._settings)
                | {f"{ENV_PREFIX}HTTP_ADDRESS": self.address}
                | environment,
            )
        )

    @property
    def running(self) -> bool:
        """Whether its process is there."""
        return self.process is not None and not self.process.exit.done()

    async def ready(self) -> None:
        """Wait until /readyz says so."""
        async with asyncio.timeout(READY_SECONDS_MAX):
            while (await self.get("/readyz"))[0] != 200:
                assert self.running, self.log()
                await asyncio.sleep(0.05)

    async def get(self, path: str) -> tuple[int, str]:
        """Status and text of one of its pages; status 0 where nobody answers."""
        timeout = aiohttp.ClientTimeout(total=2)
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            url = f"http://{self.address}{path}"
            async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as answer:
                return answer.status, await answer.text()
        return 0, ""

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self.process is not None
        os.kill(self.process.pid, number)

    async def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        self.signal(signal.SIGKILL)
        await self.ended()

    async def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.signal(signal.SIGTERM)
        return await self.ended()

    async def ended(self) -> int:
        """Wait for the end; the exit code."""
        assert self.process is not None
        async with asyncio.timeout(READY_SECONDS_MAX):
            return await asyncio.shield(self.process.exit)

    def log(self) -> str:
        """What it wrote."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""


@contextlib.asynccontextmanager
async def workers(settings: Settings, count: int, folder: Path) -> AsyncIterator[list[Worker]]:
    """So many workers, not yet started; they end with the test."""
    async with guarded() as guard:
        made = [Worker(guard, settings, f"worker {number}", folder / f"worker{number}.log") for number in range(count)]
        yield made
        for worker in made:
            if worker.running:
                worker.signal(signal.SIGCONT)
                await worker.stop()
