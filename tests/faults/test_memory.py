"""Large, many or worthless records: the worker's memory stays bounded, it is alive, and none of them is lost."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import psutil
import pytest

from tests.support import bursts
from tests.support.events import rows
from tests.support.line import line, working
from tests.support.workers import Worker, workers
from worker.settings import Settings

RESIDENT_MIB_MAX = 300
WAIT_SECONDS_MAX = 300.0
JOURNALED = "select sequence from journal_head"


def peak_mib(pid: int) -> float:
    """The most memory that was ever resident; at the moment, where the system does not tell."""
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
        assert found is not None
        return int(found[1]) / 1024
    return float(psutil.Process(pid).memory_info().rss) / 2**20


@pytest.mark.parametrize(
    ("name", "count", "batch_bytes"),
    [
        ("large commands, compressed", 1_000, 2**30),
        pytest.param("large commands, compressed", 2_000, 2**30, marks=pytest.mark.slow),
        pytest.param("largest commands", 2_000, 2**20, marks=pytest.mark.slow),
        pytest.param("large garbage, compressed", 1_000, 2**30, marks=pytest.mark.slow),
        pytest.param("tiny garbage", 1_000_000, 2**20, marks=pytest.mark.slow),
        pytest.param("commands with 1,000 segments", 2_000, 2**20, marks=pytest.mark.slow),
    ],
)
async def test_bursts(
    settings: Settings, topics: list[str], tmp_path: Path, name: str, count: int, batch_bytes: int
) -> None:
    before = await _prepare(settings, name)
    await bursts.send(settings, name, count, batch_bytes=batch_bytes)
    async with workers(settings, 1, tmp_path) as (worker,):
        await worker.start()
        await worker.ready()
        peak = await _drained(settings, worker, before + count)
        assert (await worker.get("/livez"))[0] == 200
        assert "Traceback" not in worker.log()
    print(f"{name}: {peak:.0f} MiB at most")
    assert peak < RESIDENT_MIB_MAX


async def _prepare(settings: Settings, name: str) -> int:
    """What the burst needs; returns how much was journaled for it."""
    if "segments" not in name:
        return 0
    async with line(settings) as outside, working(settings):
        names = [f"segment-{number}-with-a-name-of-some-length" for number in range(bursts.SEGMENTS)]
        sent = [await outside.send("segment.create", {"segment": segment}, partition=0) for segment in names]
        sent += [await outside.send("user.register", {"user_id": f"u{number}"}, partition=0) for number in range(50)]
        for command in sent:
            await outside.outcome(command)
    return len(sent)


async def _drained(settings: Settings, worker: Worker, count: int) -> float:
    """Wait until so much is journaled and published; the worker's peak, MiB."""
    assert worker.process is not None
    peak = 0.0
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while True:
            status, text = await worker.get("/livez")
            assert status != 503, text
            peak = max(peak, peak_mib(worker.process.pid))
            journaled = (await rows(settings, JOURNALED))[0]["sequence"]
            published = (await rows(settings, "select published_sequence from relay"))[0]["published_sequence"]
            assert journaled <= count
            if journaled == published == count:
                return peak
            await asyncio.sleep(0.1)
