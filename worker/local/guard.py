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
from pathlib import Path
from typing import Any

STOP_SECONDS_MAX = 15.0
PR_SET_PDEATHSIG = 1


class Guard:
    """The servers of one owner."""

    def __init__(self) -> None:
        self._servers: dict[str, tuple[subprocess.Popen[bytes], int]] = {}
        self._remove: list[str] = []
        self._speaking = threading.Lock()

    def serve(self) -> None:
        """Do what the owner asks for until it is gone; then leave nothing behind."""
        for line in sys.stdin:
            request = json.loads(line)
            match request["do"]:
                case "start":
                    self._start(request)
                case "remove":
                    self._remove.append(request["path"])
        self._end()

    def _start(self, request: dict[str, Any]) -> None:
        name, end_signal, user = request["name"], request["end_signal"], request["user"]
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
                    preexec_fn=lambda: _die_with_parent(end_signal),  # noqa: PLW1509 - the threads only wait
                )
            except OSError as error:
                self._say({"name": name, "error": f"{request['command'][0]}: {error}"})
                return
        self._servers[name] = (server, end_signal)
        self._say({"name": name, "pid": server.pid})
        threading.Thread(target=self._wait, args=(name, server), daemon=True).start()

    def _wait(self, name: str, server: subprocess.Popen[bytes]) -> None:
        self._say({"name": name, "pid": server.pid, "exit": server.wait()})

    def _say(self, answer: dict[str, Any]) -> None:
        with self._speaking, contextlib.suppress(OSError):  # nobody may listen any more
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()

    def _end(self) -> None:
        servers = [server for server in self._servers.values() if server[0].poll() is None]
        for server, end_signal in servers:
            _signal(server, signal.SIGCONT)
            _signal(server, end_signal)
        for server, _ in servers:
            try:
                server.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                _signal(server, signal.SIGKILL)
                server.wait(STOP_SECONDS_MAX)
        for path in self._remove:
            shutil.rmtree(path, ignore_errors=True)


def _signal(server: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        server.send_signal(number)


def _die_with_parent(number: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)


if __name__ == "__main__":
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    Guard().serve()
