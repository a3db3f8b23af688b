"""What the embedded servers have in common: start and wait until it answers, stop, and the faults of the tests."""

from __future__ import annotations

import abc
import asyncio
import contextlib
import secrets
import signal
import socket
from pathlib import Path

from worker.errors import ConfigurationError
from worker.local import guard
from worker.local.guarded import Command, Guarded, Process

HOST = "127.0.0.1"
PORTS = range(20_000, 30_000)
"""Below those that kernels give to outgoing connections: nobody takes the port of a server that is away for a while."""
PORT_TRIES_MAX = 100
LAUNCH_TRIES_MAX = 3
STOP_SECONDS_MAX = 30.0
LOOK_SECONDS = 0.05
PORT_TAKEN = "Address already in use"
PORT_TAKEN_LINES = 200
"""Where in the end of its log a server says so, lines: Java adds a trace."""


class PortTaken(ConfigurationError):
    """Something else listens on the port that was free a moment ago."""


def free_port() -> int:
    """A port that nothing listens on at the moment; raises ConfigurationError where none is found."""
    for _ in range(PORT_TRIES_MAX):
        port = secrets.choice(PORTS)
        if _is_free(port):
            return port
    raise ConfigurationError(f"No port of {HOST} between {PORTS.start} and {PORTS.stop} seems to be free")


def _is_free(port: int) -> bool:
    with socket.socket() as listener, contextlib.suppress(OSError):
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections that ended don't count
        listener.bind((HOST, port))
        return True
    return False


class Server(abc.ABC):
    """An embedded server with its data in `directory`; started again it has the same data and the same port."""

    name: str
    stop_signal: signal.Signals
    start_seconds_max: float

    def __init__(self, guarded: Guarded, directory: Path) -> None:
        self._guarded, self.directory = guarded, directory
        self._process: Process | None = None
        self.port = self._port_of_last_time() or free_port()

    @abc.abstractmethod
    async def prepare(self) -> None:
        """Make what has to be there before the first start."""

    @abc.abstractmethod
    def command(self) -> Command:
        """How to start it."""

    @abc.abstractmethod
    async def answers(self) -> bool:
        """Whether it does its work; false where another server answers on its port."""

    @property
    def pid(self) -> int:
        """The id of its process."""
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether its process is there, be it frozen."""
        return self._process is not None and not self._process.exit.done()

    async def launch(self) -> None:
        """Prepare and start it for the first time, on another port where somebody was quicker to take this one."""
        for tries_left in reversed(range(LAUNCH_TRIES_MAX)):
            await self.prepare()
            try:
                await self.start()
            except PortTaken:
                if not tries_left:
                    raise
                self.move()
            else:
                self._port_file.write_text(str(self.port))
                return

    def move(self) -> None:
        """Choose another port."""
        self.port = free_port()

    async def start(self) -> None:
        """Start and wait until it answers; raises ConfigurationError with the end of its log where it does not."""
        assert not self.is_running, f"{self.name} runs already"
        process = self._process = await self._guarded.start(self.command())
        try:
            async with asyncio.timeout(self.start_seconds_max):
                while not (await self.answers() and self.is_running):
                    if process.exit.done():
                        raise self._ended_at_start(process)
                    await asyncio.sleep(LOOK_SECONDS)
        except TimeoutError:
            await self.kill()
            raise ConfigurationError(
                f"The embedded {self.name} does not answer after {self.start_seconds_max:.0f} s; "
                f"the end of its log:\n{process.tail()}"
            ) from None

    async def stop(self) -> None:
        """Stop it in good order, also where it is frozen; raises TimeoutError where it does not end in time."""
        if self.is_running:
            guard.send([self.pid], self.stop_signal)
            self.resume()
            await self._ended()

    async def kill(self) -> None:
        """SIGKILL, as a power cut would do it: when this returns, neither it nor a child of it is there."""
        if not self.is_running:
            return
        members = guard.kill(self.pid)
        await self._ended()
        async with asyncio.timeout(STOP_SECONDS_MAX):
            while guard.remaining(members):  # noqa: ASYNC110 - others' children: only looking tells
                await asyncio.sleep(LOOK_SECONDS)

    def pause(self) -> None:
        """SIGSTOP: it answers nobody, but its connections stay."""
        assert self.is_running, f"{self.name} does not run"
        guard.freeze(self.pid)

    def resume(self) -> None:
        """SIGCONT after `pause`."""
        assert self.is_running, f"{self.name} does not run"
        guard.send(guard.family(self.pid), signal.SIGCONT)

    async def restore(self) -> None:
        """Have it running, whatever was done to it."""
        if self.is_running:
            self.resume()
        else:
            await self.start()

    async def _ended(self) -> None:
        assert self._process is not None
        async with asyncio.timeout(STOP_SECONDS_MAX):
            await asyncio.shield(self._process.exit)

    def _ended_at_start(self, process: Process) -> ConfigurationError:
        text = (
            f"The embedded {self.name} has ended at its start with code {process.exit.result()}; "
            f"the end of its log:\n{process.tail()}"
        )
        return PortTaken(text) if PORT_TAKEN in process.tail(PORT_TAKEN_LINES) else ConfigurationError(text)

    @property
    def _port_file(self) -> Path:
        return self.directory / "port"

    def _port_of_last_time(self) -> int | None:
        """So that in a folder that is kept, the settings that were exported once stay true."""
        with contextlib.suppress(OSError, ValueError):
            port = int(self._port_file.read_text())
            return port if _is_free(port) else None
        return None
