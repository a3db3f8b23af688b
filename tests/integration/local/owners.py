"""Owners of embedded services as processes of their own, to be ended in every way."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

START_SECONDS_MAX = 120.0
END_SECONDS_MAX = 30.0
SERVICES = [sys.executable, "-m", "worker.local"]
ROOT = Path(__file__).parents[3]


@dataclass(frozen=True, slots=True)
class Owner:
    """A process that has services, all processes that it started, and where the data are."""

    process: subprocess.Popen[str]
    exports: dict[str, str]
    guard: psutil.Process
    kafka: psutil.Process
    postgres: psutil.Process
    family: list[psutil.Process]
    folder: Path

    def await_nothing_left(self) -> None:
        """Wait until every process that it started is gone, and its temporary folder."""
        _, alive = psutil.wait_procs(self.family, timeout=END_SECONDS_MAX)
        assert alive == []
        assert not self.folder.exists()


@contextlib.contextmanager
def owner(command: list[str], *, user: int | None = None, **environment: str) -> Iterator[Owner]:
    """Start one and wait until it has printed both `export` lines; whatever is left of it afterwards is killed."""
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | environment,
        start_new_session=True,
        user=user,
        group=user,
        extra_groups=[] if user is not None else None,
    )
    family: list[psutil.Process] = []
    try:
        exports = _exports(process)
        family += psutil.Process(process.pid).children(recursive=True)
        guard = next(one for one in family if "guard.py" in " ".join(one.cmdline()))
        kafka, postgres = sorted(guard.children(), key=lambda one: one.name() != "java")
        yield Owner(process, exports, guard, kafka, postgres, family, Path(kafka.cwd()).parent)
    finally:
        process.kill()
        for one in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        process.communicate(timeout=END_SECONDS_MAX)


def _exports(process: subprocess.Popen[str]) -> dict[str, str]:
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(2)]
    assert all(lines), f"the owner ended with code {process.wait(END_SECONDS_MAX)}"
    return dict(line.removeprefix("export ").strip().split("=", 1) for line in lines)


def wait_for(condition: str, seen: bool, seconds_max: float = END_SECONDS_MAX) -> None:
    """Wait until a path exists, or is gone."""
    deadline = time.monotonic() + seconds_max
    while Path(condition).exists() is not seen:
        assert time.monotonic() < deadline, condition
        time.sleep(0.02)
