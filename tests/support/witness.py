"""Someone who knows what was sent and when, reads what is said of it, and tells how long a command has waited."""

from __future__ import annotations

import time

from tests.support.line import Line
from tests.support.load import Load

LOOK_SECONDS = 0.5
MOMENT_SECONDS = 1.0


class Witness:
    """Watches a load and its line."""

    def __init__(self, line: Line, load: Load) -> None:
        self._line, self._load = line, load
        self._sent = self._said = 0
        self._waiting: dict[str, float] = {}
        self._known: set[str] = set()
        self.longest_seconds = 0.0
        """The longest wait that was seen, s."""

    async def watch(self, seconds: float, *, wait_seconds_max: float) -> None:
        """Read on for so long; raises AssertionError as soon as a command has had no outcome for longer."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            await self._look(wait_seconds_max)

    async def caught_up(self, *, wait_seconds_max: float) -> None:
        """Read on until all has its outcome that was sent before, and within the next moment: some is sent by then."""
        until = time.monotonic() + MOMENT_SECONDS
        while time.monotonic() < until or any(sent_at <= until for sent_at in self._waiting.values()):
            await self._look(wait_seconds_max)

    async def _look(self, wait_seconds_max: float) -> None:
        begun = time.monotonic()
        await self._line.until(lambda _: time.monotonic() - begun >= LOOK_SECONDS)
        for command in self._load.sent[self._sent :]:
            if command.id not in self._known:
                self._waiting[command.id] = self._load.sent_at[command.id]
            self._sent += 1
        for one in self._line.said[self._said :]:
            if one.cause is not None:
                self._known.add(one.cause)
                self._waiting.pop(one.cause, None)
            self._said += 1
        if not self._waiting:
            return
        command_id, sent_at = min(self._waiting.items(), key=lambda item: item[1])
        waited = time.monotonic() - sent_at
        self.longest_seconds = max(self.longest_seconds, waited)
        assert waited <= wait_seconds_max, (
            f"command {command_id} has had no outcome for {waited:.0f} s, {len(self._waiting)} wait"
        )
