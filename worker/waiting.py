"""Waits at the start for the services around this one, as long as they are away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from worker.errors import NotLetIn, Unavailable
from worker.observability.logs import logger

log = logger(__name__)

PAUSE_SECONDS_MIN, PAUSE_SECONDS_MAX = 0.5, 15.0


class Readiness:
    """What /readyz says: what is waited for at the start, and from then on what the worker says itself."""

    def __init__(self) -> None:
        self._ask: Callable[[], list[str]] = lambda: ["the worker starts"]

    def waits_for(self, reason: str) -> None:
        """A service is away."""
        self._ask = lambda: [f"the worker waits to start: {reason}"]

    def follow(self, ask: Callable[[], list[str]]) -> None:
        """From now on the worker is asked."""
        self._ask = ask

    def problems(self) -> list[str]:
        """Why the worker is not ready; nothing if it is."""
        return self._ask()


async def until_done(
    work: Callable[[], Coroutine[Any, Any, None]], stop: asyncio.Event, waits_for: Callable[[str], None]
) -> bool:
    """Do it, again and again with growing pauses while a service is away; False if it is to stop meanwhile.

    `waits_for` hears each reason. Raises what only a person can mend: ConfigurationError and NotLetIn.
    """
    stopping = asyncio.ensure_future(stop.wait())
    pause = PAUSE_SECONDS_MIN
    try:
        while not stopping.done():
            working = asyncio.ensure_future(work())
            await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                working.cancel()
                await asyncio.wait({working})
                return False
            try:
                working.result()
                return True
            except NotLetIn:
                raise
            except Unavailable as error:
                log.warning("waiting for what is not there yet", error=str(error), next_try_seconds=pause)
                waits_for(str(error))
            await asyncio.wait({stopping}, timeout=pause)
            pause = min(2 * pause, PAUSE_SECONDS_MAX)
        return False
    finally:
        stopping.cancel()
