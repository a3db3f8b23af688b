"""Whether the journal gets on being published, as any worker sees it, whichever of them is the relay."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from worker.postgres.clock import Clock, told
from worker.postgres.session import Session

STALLED_SECONDS_MAX = 30.0
"""While rows wait, the relay must have published something within this time, s; /readyz fails otherwise."""


class Unpublished(NamedTuple):
    """What waits to be published."""

    rows: int
    published_sequence: int
    """All up to that number are published."""
    oldest_seconds: float | None
    """The age of the first row that waits; None where none does."""


async def unpublished(session: Session, clock: Clock) -> Unpublished:
    """What waits now. Raises Unavailable."""
    row = await session.row("journal_backlog")
    oldest = await session.fetch("journal_time", row["published_sequence"] + 1)
    now = await told(session, clock)
    waits = row["unpublished"] > 0 and oldest  # one that was journaled just now is for the next look
    seconds = max(0.0, (now - oldest[0]["time"]).total_seconds()) if waits else None
    return Unpublished(row["unpublished"], row["published_sequence"], seconds)


class Backlog:
    """Follows how far the relay is."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._published: int | None = None
        self._since: float | None = None

    def look(self, rows: int, published: int) -> None:
        """So many rows wait, and all up to that number are published."""
        if rows <= 0:
            self._since = None
        elif self._since is None or published != self._published:
            self._since = self._clock()
        self._published = published

    def stalled_seconds(self) -> float:
        """For how long rows have waited without one being published, s; 0 when none waits."""
        return 0.0 if self._since is None else self._clock() - self._since

    def problems(self, trouble: str | None) -> list[str]:
        """What is wrong, for people; `trouble` is what this worker's own relay met last, if it was the relay."""
        seconds = self.stalled_seconds()
        if seconds < STALLED_SECONDS_MAX:
            return []
        reason = trouble or "the worker that is the relay says why in its log"
        return [f"nothing after the journal's row {self._published} was published for {seconds:.0f} s: {reason}"]
