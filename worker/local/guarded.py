"""The owner's side of the guard: start a server under it, and hear of its end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from worker.errors import ConfigurationError
from worker.local import guard

LOG_TAIL_LINES = 15
ANSWER_SECONDS_MAX = 20.0


@dataclass(frozen=True, slots=True)
class Command:
    """A server's program: its log is appended to `log`; `user` is a numeric id, or None for one's own."""

    name: str
    arguments: list[str]
    log: Path
    directory: Path
    end_signal: signal.Signals
    user: int | None = None
    environment: dict[str, str] = field(default_factory=dict)


class Process:
    """A running server."""

    def __init__(self, command: Command, pid: int) -> None:
        self.command, self.pid = command, pid
        self.exit: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def tail(self) -> str:
        """The last lines of its log."""
        with contextlib.suppress(OSError):
            lines = self.command.log.read_text(errors="replace").splitlines()
            return "\n".join(lines[-LOG_TAIL_LINES:])
        return ""


class Guarded:
    """A guard process; whatever is started through it ends with this process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._answers: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._running: dict[int, Process] = {}
        self._exits: dict[int, int] = {}
        self._listening = asyncio.create_task(self._listen())

    async def start(self, command: Command) -> Process:
        """Start a server; raises ConfigurationError where its program can't be run."""
        answer = self._answers[command.name] = asyncio.get_running_loop().create_future()
        self._ask(
            {
                "do": "start",
                "name": command.name,
                "command": command.arguments,
                "log": str(command.log),
                "directory": str(command.directory),
                "environment": command.environment,
                "end_signal": int(command.end_signal),
                "user": command.user,
            }
        )
        async with asyncio.timeout(ANSWER_SECONDS_MAX):
            said = await answer
        if "error" in said:
            raise ConfigurationError(f"The embedded {command.name} can't be started: {said['error']}")
        process = self._running[said["pid"]] = Process(command, said["pid"])
        if process.pid in self._exits:
            process.exit.set_result(self._exits[process.pid])
        return process

    async def run(self, command: Command, seconds_max: float) -> None:
        """Run a program to its end; raises ConfigurationError, with what it wrote, where it fails."""
        process = await self.start(command)
        try:
            async with asyncio.timeout(seconds_max):
                code = await asyncio.shield(process.exit)
        except TimeoutError:
            code = -1
        if code != 0:
            raise ConfigurationError(f"{command.name} failed with exit code {code}:\n{process.tail()}")

    def remove_at_end(self, path: Path) -> None:
        """Delete a folder once all servers have ended."""
        self._ask({"do": "remove", "path": str(path)})

    async def end(self) -> None:
        """End all servers, delete what was to be deleted, and wait for that."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()
        self._listening.cancel()

    def _ask(self, request: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")

    async def _listen(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            said = json.loads(line)
            if "exit" not in said:
                self._answers[said["name"]].set_result(said)
                continue
            self._exits[said["pid"]] = said["exit"]
            process = self._running.get(said["pid"])
            if process is not None:
                process.exit.set_result(said["exit"])


@contextlib.asynccontextmanager
async def guarded() -> AsyncIterator[Guarded]:
    """A guard for as long as the context lasts, and not longer than this process."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-S",
        "-E",
        str(guard.__file__),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    owner = Guarded(process)
    try:
        yield owner
    finally:
        await asyncio.shield(owner.end())
