"""How long an answer may take until a person is told, and until nobody waits for it any more."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.text import Text

from worker.cli.console import err
from worker.errors import Unavailable

NOTICE_SECONDS = 5.0
NO_WORKER = "it seems that no worker runs, see its log and /readyz"
"""What it means that commands get no answer."""


class Silence:
    """A wait; `seconds_max` is how long nothing may be heard, None: for ever, but not without a word."""

    def __init__(
        self, what: str, advice: str, seconds_max: float | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._what, self._advice, self._seconds_max, self._clock = what, advice, seconds_max, clock
        self._heard_at, self._is_told = clock(), False

    def heard(self) -> None:
        """Something has come."""
        self._heard_at, self._is_told = self._clock(), False

    def check(self) -> None:
        """Say once that it takes long; raises Unavailable after the longest wait."""
        quiet = self._clock() - self._heard_at
        if self._seconds_max is not None and quiet >= self._seconds_max:
            raise Unavailable(f"no {self._what} within {self._seconds_max:g} s: {self._advice}")
        if quiet >= NOTICE_SECONDS and not self._is_told:
            self._is_told = True
            err.print(Text(f"no {self._what} yet after {NOTICE_SECONDS:g} s, still waiting: {self._advice}", "yellow"))
