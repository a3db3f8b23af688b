"""What a background job is: something that is due now and then, and is done in turns."""

from __future__ import annotations

import abc

from worker.postgres.clock import Clock
from worker.postgres.session import Session

CHUNK_SECONDS = 0.05
"""So long a turn's transaction should take: command batches wait for it."""
AIM = 0.9
"""The share of that time which a turn aims at."""


class Job(abc.ABC):
    """Each turn is one short transaction; the next leader goes on where the last one stopped."""

    name: str
    every_seconds: float
    journals: bool
    """Whether turns write to the journal, and so wait while the relay has enough to do."""

    is_urgent = False
    """Whether that takes more for it than for other jobs: somebody was promised when it happens."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    @abc.abstractmethod
    async def turn(self, session: Session) -> int | None:
        """Do the next piece; returns how much was done, or None if nothing is left to do for now."""


class ChunkSize:
    """How many rows a turn takes, so that it lasts about CHUNK_SECONDS."""

    def __init__(self, rows_min: int, rows_max: int) -> None:
        self._rows_min, self._rows_max = rows_min, rows_max
        self.rows = rows_min

    def took(self, seconds: float) -> None:
        """Adapt to how long a turn of so many rows took."""
        if seconds > CHUNK_SECONDS:
            self.rows = max(self._rows_min, self.rows // 2)
        else:
            growth = min(2.0, CHUNK_SECONDS * AIM / max(seconds, 1e-6))
            self.rows = max(self.rows, min(self._rows_max, int(self.rows * growth)))
