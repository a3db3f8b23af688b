"""What the embedded servers have in common: start and wait until it answers, stop, and the faults of the tests."""

from __future__ import annotations

import abc
import asyncio
import os
import signal
import socket
from pathlib import Path

from worker.errors import ConfigurationError
from worker.local.guarded import Command, Guarded, Process

HOST = "127.0.0.1"
STOP_SECONDS_MAX = 30.0
LOOK_SECONDS = 0.05


def free_port() -> int:
    """A port that nothing listens on at the moment."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        port: int = listener.getsockname()[1]
        return port


async def listens(port: int) -> bool:
    """Whether something accepts connections there."""
    try:
        _, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return False
    writer.close()
    return True


class Server(abc.ABC):
    """An embedded server with its data in `directory`; started again it has the same data and the same port."""

    name: str
    stop_signal: signal.Signals
    start_seconds_max: float

    def __init__(self, guarded: Guarded, directory: Path) -> None:
        self._guarded, self.directory = guarded, directory
        self._process: Process | None = None
        self.port = free_port()

    @abc.abstractmethod
    async def prepare(self) -> None:
        """Make what has to be there before the first start."""

    @abc.abstractmethod
    def command(self) -> Command:
        """How to start it."""

    @abc.abstractmethod
    async def answers(self) -> bool:
        """Whether it does its work."""

    @property
    def pid(self) -> int:
        """The id of its process."""
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Start and wait until it answers; raises ConfigurationError with the end of its log where it does not."""
        process = self._process = await self._guarded.start(self.command())
        try:
            async with asyncio.timeout(self.start_seconds_max):
                while not await self.answers():
                    if process.exit.done():
                        raise ConfigurationError(
                            f"The embedded {self.name} has ended at its start with code {process.exit.result()}; "
                            f"the end of its log:\n{process.tail()}"
                        )
                    await asyncio.sleep(LOOK_SECONDS)
        except TimeoutError:
            raise ConfigurationError(
                f"The embedded {self.name} does not answer after {self.start_seconds_max:.0f} s; "
                f"the end of its log:\n{process.tail()}"
            ) from None

    async def stop(self) -> None:
        """Stop it in good order."""
        self._signal(self.stop_signal)
        await self._ended()

    async def kill(self) -> None:
        """SIGKILL, as a power cut would do it."""
        self._signal(signal.SIGKILL)
        await self._ended()

    def pause(self) -> None:
        """SIGSTOP: it answers nobody, but its connections stay."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT after `pause`."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    async def _ended(self) -> None:
        assert self._process is not None
        async with asyncio.timeout(STOP_SECONDS_MAX):
            await asyncio.shield(self._process.exit)
