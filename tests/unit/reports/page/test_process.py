"""The process that renders: what it gives, how it fails, and that it never stays."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from pydantic import ValidationError

from tests.support import summaries
from tests.tidy.sources import ROOT
from worker.reports.page import process as rendering
from worker.reports.page import render as page
from worker.reports.page import wire
from worker.reports.page.process import RenderingFailed
from worker.reports.page.summary import Summary

HANG = "import time, sys; print('up', flush=True); time.sleep(600)"


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What runs instead of the page's program."""
    path = tmp_path / "stand_in.py"
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(rendering, "PROGRAM", "stand_in")
    return path


def _children() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "stand_in" in " ".join(child.cmdline())]


@pytest.mark.parametrize("summary", [summaries.busy(), summaries.hostile(), summaries.empty(), summaries.many()])
def test_a_summary_survives_the_way(summary: Summary) -> None:
    assert wire.read(wire.write(summary)) == summary


async def test_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From any folder, also one that has a package of the same name."""
    (tmp_path / "worker").mkdir()
    (tmp_path / "worker" / "__init__.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    summary = summaries.hostile()
    assert await rendering.page(summary) == page.render(summary).encode()


async def test_what_the_process_says_is_in_the_error(program: Path) -> None:
    program.write_text("raise ValueError('<no ink>')")
    with pytest.raises(RenderingFailed, match=r"(?s)exit code 1: Traceback.*ValueError: <no ink>$"):
        await rendering.page(summaries.empty())
    program.write_text("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(RenderingFailed, match=r"exit code -9: no message$"):
        await rendering.page(summaries.empty())
    program.write_text("import sys; sys.stderr.write('x' * 1_000_000); sys.exit(1)")
    with pytest.raises(RenderingFailed) as failed:
        await rendering.page(summaries.empty())
    assert len(str(failed.value)) < 3_000


async def test_a_process_that_reads_nothing(program: Path) -> None:
    """More than a pipe holds is written to it."""
    program.write_text("import sys; sys.exit('full')")
    many = summaries.many()
    with pytest.raises(RenderingFailed, match="full"):
        await rendering.page(many)


async def test_too_slow(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program.write_text(HANG)
    monkeypatch.setattr(rendering, "RENDER_SECONDS_MAX", 0.5)
    with pytest.raises(RenderingFailed, match=r"took more than 0\.5 s"):
        await rendering.page(summaries.empty())
    assert _children() == []


async def test_cancelled(program: Path) -> None:
    program.write_text(HANG)
    task = asyncio.create_task(rendering.page(summaries.empty()))
    async with asyncio.timeout(20):
        while not _children():
            await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert _children() == []


async def test_no_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    with pytest.raises(RenderingFailed, match="can't be started"):
        await rendering.page(summaries.empty())


def test_it_ends_when_its_owner_does() -> None:
    """The owner's end is the end of standard input, in the middle of a summary."""
    half = wire.write(summaries.busy())[:500]
    done = subprocess.run(
        [sys.executable, "-m", rendering.PROGRAM], cwd=ROOT, input=half, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert done.stdout == b""
    assert b"ValidationError" in done.stderr
    with pytest.raises(ValidationError):
        wire.read(half)


def test_the_worker_does_not_load_what_draws() -> None:
    code = (
        "import sys, worker.reports.page.process\n"
        "print(sorted({'matplotlib', 'numpy', 'jinja2', 'worker.reports.page.render'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "[]\n"
