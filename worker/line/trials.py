"""How often a batch that does not go through is tried before its commands are suspected, and how long between."""

from __future__ import annotations

import random
from typing import NamedTuple

from worker.errors import (
    ClockStepped,
    Denied,
    Mistaken,
    Outdated,
    Refused,
    Slow,
    Strained,
    Unavailable,
    Unclear,
    WorkerError,
)

UNDECIDED = "commands were not decided"
"""What the log says of a mistake."""

FAULTS = (Refused, Denied, Unavailable)
"""What a transaction may fail with: of the data, of the database's state, or nobody knows."""
FIRST_PAUSE_SECONDS, PAUSE_SECONDS_MAX = 0.05, 5.0
LOCK_SECONDS_MIN = 0.9
"""What took longer before the server said that it can't did wait for another session's locks. That says nothing of the
data, however often it happens."""


COMPARED_MIN = 2
"""So often in a row harmless commands must go through, each time after the one in question did not."""


class Limits(NamedTuple):
    """Tries of several commands together, and of one alone."""

    together: int
    alone: int


TRIES_MAX: dict[type[WorkerError], Limits] = {
    Refused: Limits(1, 1),  # the same statement refuses the same data again
    Slow: Limits(1, 3),
    Unclear: Limits(3, 5),
    Denied: Limits(3, 5),
    Unavailable: Limits(5, 10),  # mostly not the data's: it takes more to suspect that
}


class Failure(NamedTuple):
    """Why a command is rejected as `failed`; a bare rejection has nothing of the command but its place in the topic."""

    message: str
    is_bare: bool


def failures(fault: WorkerError) -> tuple[Failure, Failure]:
    """The rejection, and a bare one for where the first is not taken. They say nothing of where the database is."""
    if isinstance(fault, Mistaken):
        message = f"A mistake in the worker kept this command from being applied: {fault}"
    else:
        said = "a statement took longer than its limit" if isinstance(fault, Slow) else str(fault.__cause__ or "")
        message = f"The database refused this command: {said or 'each time the session ended'}"
    return Failure(message, is_bare=False), Failure(message, is_bare=True)


class Trials:
    """The tries of one batch."""

    def __init__(self, *, is_alone: bool) -> None:
        self._is_alone = is_alone
        self.made = self._counted = self._compared = 0

    def count(self, fault: WorkerError, seconds: float) -> None:
        """One has failed after this time."""
        self.made += 1
        if not (isinstance(fault, Strained) and seconds > LOCK_SECONDS_MIN):
            self._counted += 1

    def suffice(self, fault: WorkerError) -> bool:
        """Whether it is time to ask if the commands themselves are the cause."""
        if isinstance(fault, ClockStepped | Outdated):  # never the data's
            return False
        limits = next(limits for kind, limits in TRIES_MAX.items() if isinstance(fault, kind))
        return self._counted >= (limits.alone if self._is_alone else limits.together)

    def compare(self, *, is_well: bool) -> None:
        """Harmless commands were asked about after a failed try, and went through or did not."""
        self._compared = self._compared + 1 if is_well else 0

    def convict(self) -> bool:
        """Whether harmless commands went through before and after a try that failed: the database may just have become
        well when they were asked about for the first time."""
        return self._compared >= COMPARED_MIN

    def pause_seconds(self) -> float:
        """How long to wait before the next try."""
        seconds = min(FIRST_PAUSE_SECONDS * 2.0 ** min(self.made - 1, 20), PAUSE_SECONDS_MAX)
        return seconds * random.uniform(0.9, 1.1)
