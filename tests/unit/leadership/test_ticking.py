"""APScheduler as our clock: on the loop's own thread, and never too late to tick."""

from __future__ import annotations

import asyncio
import threading
import time

from worker.leadership.ticking import SCHEDULER_DEFAULTS, ticking

SECONDS_MAX = 30.0


async def test_a_tick_comes_on_the_loop() -> None:
    """Where an event may be set; APScheduler would call a plain function in a thread."""
    came, threads = asyncio.Event(), []

    def tick() -> None:
        threads.append(threading.current_thread())
        came.set()

    async with asyncio.timeout(SECONDS_MAX):
        with ticking({"a": (0.05, tick)}):
            await came.wait()
    assert threads[0] is threading.main_thread()


async def test_a_late_tick_is_done_late() -> None:
    """After more than the second of grace that APScheduler gives by default; several are done as one."""
    came, count = asyncio.Event(), 0

    def tick() -> None:
        nonlocal count
        count += 1
        came.set()

    async with asyncio.timeout(SECONDS_MAX):
        with ticking({"a": (0.4, tick)}):
            await asyncio.sleep(0)
            time.sleep(2.1)
            await came.wait()
            assert count == 1
    assert SCHEDULER_DEFAULTS == {"misfire_grace_time": None, "coalesce": True, "max_instances": 1}


async def test_it_ends_with_the_context() -> None:
    count = 0

    def tick() -> None:
        nonlocal count
        count += 1

    with ticking({"a": (0.01, tick)}):
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.05)  # for the tick that was under way
    before = count
    await asyncio.sleep(0.2)
    assert count == before
