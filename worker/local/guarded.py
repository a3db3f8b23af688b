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
LOOK_SECONDS = 0.05
GUARD_GONE = {"error": "its guard has ended"}


@dataclass(frozen=True, slots=True)
class Command:
    """A server's program: its log is appended to `log`; `user` is a numeric id, or None for one's own.

    `end_signal` is what the guard ends it with; should the guard itself be killed, the kernel sends `orphan_signal`.
    """

    name: str
    arguments: list[str]
    log: Path
    directory: Path
    end_signal: signal.Signals
    orphan_signal: signal.Signals = signal.SIGKILL
    user: int | None = None
    environment: dict[str, str] = field(default_factory=dict)


class Process:
    """A running server."""

    def __init__(self, command: Command, pid: int) -> None:
        self.command, self.pid = command, pid
        self.exit: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def tail(self, lines: int = LOG_TAIL_LINES) -> str:
        """The last lines of its log."""
        with contextlib.suppress(OSError):
            return "\n".join(self.command.log.read_text(errors="replace").splitlines()[-lines:])
        return ""


class Guarded:
    """A guard process; whatever is started through it ends with this process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._answers: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._running: dict[int, Process] = {}
        self._exits: dict[int, int] = {}  # of those that ended before their start was noticed
        self._listening = asyncio.create_task(self._listen())

    async def start(self, command: Command) -> Process:
        """Start a server; raises ConfigurationError where its program can't be run."""
        answer = self._answers[command.name] = asyncio.get_running_loop().create_future()
        if self._listening.done():
            answer.set_result(GUARD_GONE)
        self._ask(
            {
                "do": "start",
                "name": command.name,
                "command": command.arguments,
                "log": str(command.log),
                "directory": str(command.directory),
                "environment": command.environment,
                "end_signal": int(command.end_signal),
                "orphan_signal": int(command.orphan_signal),
                "user": command.user,
            }
        )
        try:
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                said = await answer
        except TimeoutError:
            said = {"error": f"its guard does not answer within {ANSWER_SECONDS_MAX:.0f} s"}
        if "error" in said:
            raise ConfigurationError(f"The embedded {command.name} can't be started: {said['error']}")
        process = self._running[said["pid"]] = Process(command, said["pid"])
        if process.pid in self._exits:
            del self._running[process.pid]
            process.exit.set_result(self._exits.pop(process.pid))
        return process

    async def run(self, command: Command, seconds_max: float) -> None:
        """Run a program to its end; raises ConfigurationError, with what it wrote, where it fails."""
        process = await self.start(command)
        try:
            async with asyncio.timeout(seconds_max):
                code = await asyncio.shield(process.exit)
        except TimeoutError:
            await asyncio.to_thread(guard.kill, process.pid)
            raise ConfigurationError(f"{command.name} took more than {seconds_max:.0f} s:\n{process.tail()}") from None
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
        await asyncio.wait({self._listening}, timeout=ANSWER_SECONDS_MAX)  # it ends what a killed guard left
        self._listening.cancel()

    def _ask(self, request: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")

    async def _listen(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            said = json.loads(line)
            if "exit" in said:
                self._exited(said["pid"], said["exit"])
            elif not self._answers[said["name"]].done():
                self._answers[said["name"]].set_result(said)
        for answer in self._answers.values():
            if not answer.done():
                answer.set_result(GUARD_GONE)
        for pid in list(self._running):  # it was killed, and the kernel may be ending them, where it is Linux's
            members = guard.kill(pid)
            while guard.remaining(members):  # noqa: ASYNC110 - not our children: only looking tells
                await asyncio.sleep(LOOK_SECONDS)
            self._exited(pid, -signal.SIGKILL)

    def _exited(self, pid: int, code: int) -> None:
        process = self._running.pop(pid, None)
        if process is None:
            self._exits[pid] = code
        else:
            process.exit.set_result(code)


@contextlib.asynccontextmanager
async def guarded(held: tuple[int, ...] = ()) -> AsyncIterator[Guarded]:
    """A guard for as long as the context lasts, and not longer than this process.

    The file descriptors `held` stay open until the last server has ended, also after this process was killed: a lock
    that is one of them is held until then.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-S",
        "-E",
        str(guard.__file__),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
        pass_fds=held,
    )
    owner = Guarded(process)
    try:
        yield owner
    finally:
        await asyncio.shield(owner.end())
