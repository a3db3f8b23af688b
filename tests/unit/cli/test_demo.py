"""The demo while it is kept up."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from worker.cli import demo
from worker.local.guarded import Command, Process


async def test_a_worker_that_ends_while_it_is_kept_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "worker.log"
    log.write_text("the last words\n")
    worker = Process(Command("worker", [], log, tmp_path, signal.SIGTERM), 1)
    kept = asyncio.create_task(demo._until_it_ends(worker))
    await asyncio.sleep(0)
    assert not kept.done()
    worker.exit.set_result(-signal.SIGKILL)
    assert await kept is False
    assert "error: the worker has ended; the end of its log:\nerror: the last words" in capsys.readouterr().err


async def test_a_signal_leaves_the_workers_end_to_be_heard(tmp_path: Path) -> None:
    worker = Process(Command("worker", [], tmp_path / "log", tmp_path, signal.SIGTERM), 1)
    kept = asyncio.create_task(demo._until_it_ends(worker))
    await asyncio.sleep(0)
    kept.cancel()
    await asyncio.wait({kept})
    assert kept.cancelled()
    assert not worker.exit.done()
