"""How long it takes from a command to its event, as a histogram."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from datetime import datetime

from worker.observability import metrics

BATCHES_MAX = 10_000
"""Applied batches whose events are awaited; of more, the oldest are not measured."""


class Latency:
    """Measures the batches that this process has applied and whose events its own relay has published.

    No process knows when another one's relay commits, so with several workers this is a sample: the relay's own share
    of the commands. Of each batch its first and last command count.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._awaited = deque[tuple[int, tuple[datetime, ...]]](maxlen=BATCHES_MAX)

    def journaled(self, sequence: int, times: Iterable[datetime]) -> None:
        """A batch has committed; its last event has this number, its commands these times."""
        self._awaited.append((sequence, tuple(times)))

    def published_before(self, sequence: int) -> None:
        """Events up to this one were published by somebody else, nobody knows when."""
        self._take(sequence)

    def published(self, sequence: int) -> None:
        """This process has just committed the events up to this one in Kafka."""
        now = self._clock()
        for time in self._take(sequence):
            metrics.COMMAND_TO_EVENT_SECONDS.observe(max(0.0, (now - time).total_seconds()))

    def _take(self, sequence: int) -> list[datetime]:
        """Lanes commit side by side, so a batch may be noted a little after one with a higher number."""
        done = [times for last, times in self._awaited if last <= sequence]
        if done:
            waiting = [entry for entry in self._awaited if entry[0] > sequence]
            self._awaited.clear()
            self._awaited.extend(waiting)
        return [time for times in done for time in times]
