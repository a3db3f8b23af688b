"""A process that starts servers for its owner and ends them with it, however the owner ends.

Run as a script. The owner holds the only write end of the pipe that is this process's standard input, so the pipe ends
when the owner does, also by SIGKILL. Should this process be killed itself, the servers get a signal from the kernel
where that is Linux. Requests are JSON lines on standard input, answers JSON lines on standard output. Standard library
only, so that it starts at once.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

STOP_SECONDS_MAX = 15.0
LOOK_SECONDS = 0.02
PR_SET_PDEATHSIG = 1
IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C and a session's end are the owner's to answer."""
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


class Guard:
    """The servers of one owner."""

    def __init__(self) -> None:
        self._servers: list[tuple[subprocess.Popen[bytes], int]] = []
        self._remove: list[str] = []
        self._speaking = threading.Lock()
        self._pid = os.getpid()

    def serve(self) -> None:
        """Do what the owner asks for until it is gone; then leave nothing behind."""
        try:
            for line in sys.stdin:
                request = json.loads(line)
                match request["do"]:
                    case "start":
                        self._start(request)
                    case "remove":
                        self._remove.append(request["path"])
        finally:
            self._end()

    def _start(self, request: dict[str, Any]) -> None:
        name, user = request["name"], request["user"]
        with Path(request["log"]).open("ab") as log:
            try:
                server = subprocess.Popen(
                    request["command"],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=request["directory"],
                    env=os.environ | request["environment"],
                    user=user,
                    group=user,
                    extra_groups=[] if user is not None else None,
                    start_new_session=True,
                    preexec_fn=lambda: self._in_child(request["orphan_signal"]),  # noqa: PLW1509 - threads only wait
                )
            except (OSError, subprocess.SubprocessError) as error:
                self._say({"name": name, "error": f"{request['command'][0]}: {error}"})
                return
        self._servers.append((server, request["end_signal"]))
        self._say({"name": name, "pid": server.pid})
        threading.Thread(target=self._wait, args=(name, server), daemon=True).start()

    def _in_child(self, orphan_signal: int) -> None:
        """Undo what is only ours: an ignored signal stays ignored in a new program, and Java would never stop."""
        for number in IGNORED:
            signal.signal(number, signal.SIG_DFL)
        if _LIBC is not None:
            _LIBC.prctl(PR_SET_PDEATHSIG, orphan_signal, 0, 0, 0)
            if os.getppid() != self._pid:  # it ended before the kernel knew
                os._exit(1)

    def _wait(self, name: str, server: subprocess.Popen[bytes]) -> None:
        self._say({"name": name, "pid": server.pid, "exit": server.wait()})

    def _say(self, answer: dict[str, Any]) -> None:
        with self._speaking, contextlib.suppress(OSError):  # nobody may listen any more
            os.write(1, json.dumps(answer).encode() + b"\n")

    def _end(self) -> None:
        running = [(server, end_signal) for server, end_signal in self._servers if server.poll() is None]
        families = [pid for server, _ in running for pid in family(server.pid)]
        for server, end_signal in running:
            send([server.pid], end_signal)
        send(families, signal.SIGCONT)  # some may be frozen
        deadline = time.monotonic() + STOP_SECONDS_MAX
        for server, _ in running:
            try:
                server.wait(max(deadline - time.monotonic(), 0))
            except subprocess.TimeoutExpired:
                kill(server.pid)
                server.wait()
        while (alive := remaining(families)) and time.monotonic() < deadline + STOP_SECONDS_MAX:
            # children whose parent crashed; they may write on until they are gone
            send(alive, signal.SIGKILL)
            time.sleep(LOOK_SECONDS)
        for path in self._remove:
            shutil.rmtree(path, ignore_errors=True)


def family(pid: int) -> list[int]:
    """A process and its descendants, parents first."""
    parents = _parents()
    found = [pid]
    for member in found:
        found.extend(child for child, parent in parents.items() if parent == member)
    return found


def freeze(pid: int) -> list[int]:
    """SIGSTOP a process and its descendants; the parent first, so that it makes no more of them."""
    send([pid], signal.SIGSTOP)
    members = family(pid)
    send(members, signal.SIGSTOP)
    return members


def kill(pid: int) -> list[int]:
    """SIGKILL a process and its descendants, all that were there."""
    members = freeze(pid)
    send(members, signal.SIGKILL)
    return members


def send(pids: list[int], number: int) -> None:
    """Send a signal to each that is still there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def remaining(pids: list[int]) -> list[int]:
    """Those that still run."""
    parents = _parents()
    return [pid for pid in pids if pid in parents]


def _parents() -> dict[int, int]:
    """The parent of each process that runs; zombies are left out."""
    if sys.platform != "linux":
        listing = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,stat="], capture_output=True, text=True, check=True)
        rows = [line.split() for line in listing.stdout.splitlines()]
        return {int(pid): int(parent) for pid, parent, state in rows if state[0] != "Z"}
    parents = {}
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if process.name.isdigit():
                state, parent = (process / "stat").read_text(errors="replace").rpartition(")")[2].split()[:2]
                if state not in "ZX":
                    parents[int(process.name)] = int(parent)
    return parents


if __name__ == "__main__":
    for ignored in IGNORED:
        signal.signal(ignored, signal.SIG_IGN)
    Guard().serve()
