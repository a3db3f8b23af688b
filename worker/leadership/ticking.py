"""APScheduler as a clock: it says when to look, the database says what is due. The only module that imports it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC

from apscheduler.schedulers.asyncio import AsyncIOScheduler

SCHEDULER_DEFAULTS = {"misfire_grace_time": None, "coalesce": True, "max_instances": 1}
"""A late tick is done late and once; by default APScheduler would drop it after a second."""


@contextlib.contextmanager
def ticking(ticks: Mapping[str, tuple[float, Callable[[], None]]]) -> Iterator[None]:
    """During the context, call each function every so many seconds, on the running loop."""
    scheduler = AsyncIOScheduler(timezone=UTC, job_defaults=SCHEDULER_DEFAULTS)
    for name, (seconds, tick) in ticks.items():
        scheduler.add_job(_call, "interval", seconds=seconds, args=[tick], id=name)
    scheduler.start()
    try:
        yield
    finally:
        scheduler.shutdown(wait=False)


async def _call(tick: Callable[[], None]) -> None:
    """As a coroutine: APScheduler runs plain functions in threads."""
    tick()
