"""A few commands sent, and what comes of each of them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from worker.cli.console import out
from worker.cli.render import line, short_type
from worker.cli.sender import Prepared, Sender
from worker.cli.silence import NO_WORKER
from worker.cli.tail import Event, Tail, is_caused


class Outcomes:
    """What came of commands that were sent here, as far as it came in time."""

    def __init__(self, reading: Tail, sender: Sender, wait_seconds: float) -> None:
        self._reading, self._sender, self._wait_seconds = reading, sender, wait_seconds
        self._found: dict[Prepared, Event] = {}

    async def send(self, commands: Sequence[Prepared]) -> None:
        """Send them and print what comes of each; returns when all have an outcome, or the time is over."""
        for command in commands:
            await self._sender.send(command)
        await self._sender.flush()
        await self.hear(commands)

    async def hear(self, commands: Sequence[Prepared]) -> None:
        """Print what comes of each of these, which are sent; returns as `send` does."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._wait_seconds):
                await self._hear(commands)

    def type_of(self, command: Prepared) -> str | None:
        """The short type of the command's outcome; None where there is none yet."""
        return short_type(self._found[command]) if command in self._found else None

    def is_rejected(self, command: Prepared) -> bool:
        """Whether it was rejected, as far as is known."""
        return self.type_of(command) == "command.rejected"

    async def _hear(self, commands: Sequence[Prepared]) -> None:
        waiting = list(commands)
        while waiting:
            for event in await self._reading.poll():
                caused = [one for one in waiting if is_caused(event, one.id, one.command.source)]
                if caused:
                    waiting.remove(caused[0])
                    self._found[caused[0]] = event
                    out.print(line(event))


def silence(wait_seconds: float) -> str:
    """What it means that no outcome came."""
    return f"no outcome within {wait_seconds:g} s: {NO_WORKER}"
