"""The worker's own progress: each loop beats, and /livez asks whether all of them did lately."""

from __future__ import annotations

import time
from collections.abc import Callable


class Progress:
    """Last beats by loop. A loop that waits for a service that is away beats all the same: it is alive."""

    def __init__(self, seconds_max: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds_max, self._clock = seconds_max, clock
        self._last: dict[str, float] = {}

    def watch(self, name: str) -> Callable[[], None]:
        """A function for the loop `name` to call at each turn."""
        self._last[name] = self._clock()

        def beat() -> None:
            self._last[name] = self._clock()

        return beat

    def forget(self, name: str) -> None:
        """The loop has ended on purpose."""
        self._last.pop(name, None)

    def stuck(self) -> dict[str, float]:
        """Loops without a beat for too long, with the seconds since their last one."""
        now = self._clock()
        return {name: now - at for name, at in self._last.items() if now - at > self._seconds_max}
