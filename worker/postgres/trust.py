"""Whether the server's clock can be believed: it has witnesses, and where all of them contradict it, it has stepped."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from worker.errors import ClockStepped

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
"""The time of a journal without rows."""


def local_time() -> datetime:
    """This process's own time, in UTC: a witness, no more."""
    return datetime.now(UTC)


class Trust:
    """Whether the server's clock can be believed. One for a process."""

    def __init__(
        self,
        step_seconds_max: float,
        *,
        local: Callable[[], datetime] = local_time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit, self._local, self._monotonic = timedelta(seconds=step_seconds_max), local, monotonic
        self._believed: tuple[datetime, float] | None = None

    def check(self, now: datetime, journaled_at: datetime) -> None:
        """Raise ClockStepped where no witness supports the server's time: this clock, the journal, or what passed."""
        ticks = self._monotonic()
        witnesses = [self._local(), journaled_at]
        if self._believed is not None:
            believed, at = self._believed
            witnesses.append(believed + timedelta(seconds=ticks - at))
        if min(now - witness for witness in witnesses) > self._limit:
            last = f"{_span(now - journaled_at)} after its last row" if journaled_at > EPOCH else "empty as yet"
            raise ClockStepped(
                f"PostgreSQL's clock says {now:%Y-%m-%d %H:%M:%S} UTC: {_span(now - witnesses[0])} ahead of this "
                f"worker's, and for the journal that is {last}. Nothing is written with such a time; set right "
                "whichever of the two clocks is wrong, and the work goes on by itself"
            )
        self._believed = (now, ticks)


def _span(difference: timedelta) -> str:
    seconds = round(difference.total_seconds())
    return f"{seconds:,} s" if seconds < 172_800 else f"{round(seconds / 86_400):,} days"
