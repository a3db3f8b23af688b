"""The worker's own progress: each loop beats while it works, and /livez asks whether all of them did lately."""

from __future__ import annotations

import time
from collections.abc import Callable


class Watch:
    """One loop's heartbeat. It beats also while it waits for a service that is away; at rest it is not judged."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last: float | None = None

    def beat(self) -> None:
        """The loop has taken a turn, or a step of one."""
        self._last = self._clock()

    def rest(self) -> None:
        """The loop has nothing to do."""
        self._last = None

    def silent_seconds(self) -> float:
        """Time since the last beat, s; 0 at rest."""
        return 0.0 if self._last is None else self._clock() - self._last


class Progress:
    """The heartbeats of all loops."""

    def __init__(self, seconds_max: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds_max, self._clock = seconds_max, clock
        self._watches: dict[str, Watch] = {}
        self._judges: list[Callable[[], dict[str, float]]] = []

    def watch(self, name: str) -> Watch:
        """A new loop, at rest."""
        watch = self._watches[name] = Watch(self._clock)
        return watch

    def ask(self, judge: Callable[[], dict[str, float]]) -> None:
        """Have `stuck` also say what this function finds to have stood still for too long, with the seconds."""
        self._judges.append(judge)

    def stuck(self) -> dict[str, float]:
        """Loops without a beat, and whatever else stood still, for too long, with the seconds."""
        silent = {name: watch.silent_seconds() for name, watch in self._watches.items()}
        found = {name: seconds for name, seconds in silent.items() if seconds > self._seconds_max}
        for judge in self._judges:
            found |= judge()
        return found
