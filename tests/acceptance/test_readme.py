"""The commands of README.md, in its order, in a session of `make demo KEEP=1`: each works as written."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.acceptance.shell import ROOT, SECONDS_MAX, Done, Shell, ending, interrupted, line_of
from tests.support.readme import Block, blocks
from worker.settings import ENV_PREFIX

SESSION_SECONDS_MAX = 120.0
BEFORE = ("make demo", "make test", "make demo KEEP=1")
"""What this test is a part of, and the session that it starts itself."""
STAYING = ("segmentation run", "segmentation watch")
"""Commands that go on until they are interrupted."""


def _commands(block: Block) -> Iterator[str]:
    """The shell's commands in it, each with all of its lines."""
    if block.language == "console":
        yield from (line.removeprefix("$ ") for line in block.text.splitlines() if line.startswith("$ "))
    elif block.language == "sh":
        lines: list[str] = []
        for line in block.text.splitlines():
            lines.append(line)
            if _is_whole("\n".join(lines)):
                yield "\n".join(lines)
                lines = []
        assert lines == [], f"no whole command: {lines}"


def _is_whole(command: str) -> bool:
    is_valid = subprocess.run(["bash", "-n", "-c", command], capture_output=True, check=False).returncode == 0
    return is_valid and not command.endswith("\\")


def _bare(command: str) -> str:
    """Without the comment that may follow."""
    return command.partition("  #")[0].strip()


@contextlib.asynccontextmanager
async def _session() -> AsyncIterator[Shell]:
    """What `make demo KEEP=1` starts, and a shell with the lines that it asks to paste."""
    async with ending(await Shell().start("demo", "--keep")) as process:
        exports: dict[str, str] = {}
        async with asyncio.timeout(SESSION_SECONDS_MAX):
            while not (text := await line_of(process.stdout)).strip().startswith("curl"):
                assert text, "the demo has ended"
                if text.strip().startswith("export "):
                    name, value = shlex.split(text)[1].split("=", 1)
                    exports[name] = value
        assert {f"{ENV_PREFIX}KAFKA_BOOTSTRAP_SERVERS", f"{ENV_PREFIX}DATABASE_URL"} < exports.keys()
        try:
            yield Shell(exports)
        finally:
            await interrupted(process)


async def _bash(shell: Shell, command: str, *, stays: bool) -> Done:
    """The command in a shell that ends at the first failure; one that stays is interrupted when it has begun."""
    inherited = {name: value for name, value in os.environ.items() if not name.upper().startswith(ENV_PREFIX)}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    process = await asyncio.create_subprocess_exec(
        *("bash", "-euo", "pipefail", "-c", f"exec {command}" if stays else command),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=ROOT,
        env=inherited | {"PATH": path, f"{ENV_PREFIX}HTTP_ADDRESS": "127.0.0.1:0"} | shell.environment,
        start_new_session=True,
    )
    async with ending(process), asyncio.timeout(SECONDS_MAX):
        if stays:
            said = await _until(process, "worker started" if command.startswith("segmentation run") else "")
            process.send_signal(signal.SIGINT)
            rest, _ = await process.communicate()
            return Done(process.returncode or 0, said + rest.decode(), "")
        out, _ = await process.communicate()
        return Done(process.returncode or 0, out.decode(), "")


async def _until(process: asyncio.subprocess.Process, wanted: str) -> str:
    """What it says up to that, at least a line."""
    said = ""
    while not said or wanted not in said:
        text = await line_of(process.stdout)
        assert text, said
        said += text
    return said


async def test_every_command_works_as_written() -> None:
    commands = [command for block in blocks() if not block.needs_docker for command in _commands(block)]
    assert len(commands) > 15
    skipped = []
    async with _session() as shell:
        for command in commands:
            bare = _bare(command)
            if bare in BEFORE:
                continue
            if "kcat" in bare and not shutil.which("kcat"):
                skipped.append(command)
                continue
            done = await _bash(shell, bare if bare.startswith(STAYING) else command, stays=bare.startswith(STAYING))
            assert done.code == 0, f"{command}\n{done.out}"
            assert "Traceback" not in done.out
    if skipped:
        pytest.skip(f"all others work; kcat is not installed, so not tried: {skipped}")


def test_pythons_examples_work_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # what they keep is not the project's
    examples = [block.text for block in blocks() if block.language == "python"]
    assert examples
    for example in examples:
        exec(compile(example, "README.md", "exec"), {})


def test_what_needs_docker_is_marked() -> None:
    """It is run where there is Docker: see tests/docker."""
    marked = [block.text for block in blocks() if block.needs_docker]
    assert any("localhost:9092" in text for text in marked)
    assert all("localhost:" not in block.text for block in blocks() if not block.needs_docker)
