"""Waiting until what is read has come to where the topics end."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping

from schemas.reader.errors import ReaderError, StalledError
from schemas.reader.records import Partition

Ends = Callable[[], Awaitable[Mapping[Partition, int]]]
"""Asks Kafka where the partitions end now, by a client that reads uncommitted records, too. A transaction that one
partition shows may still be open in another one, and lies behind the end that a `read_committed` client is told of."""

SHOWN_MAX = 3


class Passage:
    """How far each partition was read; whoever waits hears of each move, from whatever thread it comes."""

    def __init__(self) -> None:
        self.is_closed = False
        self._offsets: dict[Partition, int] = {}
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        self._guard = threading.Lock()

    def restart(self, offsets: Mapping[Partition, int]) -> None:
        """These partitions are read, from these offsets on."""
        self._offsets = dict(offsets)

    def move(self, offsets: Iterable[tuple[Partition, int]]) -> bool:
        """Nothing below these offsets is still to come; returns whether that is new."""
        moved = {at: offset for at, offset in offsets if offset > self._offsets.get(at, offset)}
        self._offsets.update(moved)
        if moved:
            self._tell()
        return bool(moved)

    def close(self) -> None:
        """End all waiting with an error."""
        self.is_closed = True
        self._tell()

    def missing(self, ends: Mapping[Partition, int]) -> dict[Partition, int]:
        """How many offsets are still to come in each partition that is not at its end."""
        return {at: ends[at] - offset for at, offset in self._offsets.items() if offset < ends.get(at, 0)}

    async def wait(self, ends: Mapping[Partition, int], *, seconds: float, stall_only: bool) -> None:
        """Return when nothing is missing; raise StalledError after so long, or so long without a move."""
        moved = asyncio.Event()
        waiter = (asyncio.get_running_loop(), moved)
        deadline = time.monotonic() + seconds
        with self._guard:
            self._waiting.add(waiter)
        try:
            while missing := self.missing(ends):
                if self.is_closed:
                    raise ReaderError("The memberships were closed while something waited for them")
                try:
                    async with asyncio.timeout(deadline - time.monotonic()):
                        await moved.wait()
                except TimeoutError:
                    raise StalledError(_lack(missing, seconds, stall_only=stall_only)) from None
                moved.clear()
                if stall_only:
                    deadline = time.monotonic() + seconds
        finally:
            with self._guard:
                self._waiting.discard(waiter)

    def _tell(self) -> None:
        with self._guard:
            waiting = list(self._waiting)
        for loop, moved in waiting:
            with contextlib.suppress(RuntimeError):  # a loop that has ended waits for nothing
                loop.call_soon_threadsafe(moved.set)


class Asking:
    """Asks where the topics end; those who come while it is asked share the next answer."""

    def __init__(self, ends: Ends) -> None:
        self._ends = ends
        self._turn = asyncio.Lock()
        self._asked = self._answered = 0
        self._answer: Mapping[Partition, int] = {}

    async def ends(self, seconds: float) -> Mapping[Partition, int]:
        """Where they end, asked after this was called; raises StalledError if there is no answer within so long."""
        before = self._asked
        try:
            async with asyncio.timeout(seconds), self._turn:
                if self._answered <= before:
                    self._asked += 1
                    number = self._asked
                    self._answer = await self._ends()
                    self._answered = number
                return self._answer
        except TimeoutError as error:
            raise StalledError(f"Kafka did not say within {seconds:g} s where the topics end") from error


def _lack(missing: Mapping[Partition, int], seconds: float, *, stall_only: bool) -> str:
    some = ", ".join(f"{topic}/{number}: {lack:,}" for (topic, number), lack in sorted(missing.items())[:SHOWN_MAX])
    more = f" and {len(missing) - SHOWN_MAX} partitions more" if len(missing) > SHOWN_MAX else ""
    how = f"Nothing was read for {seconds:g} s" if stall_only else f"Not read to the end within {seconds:g} s"
    return (
        f"{how}; offsets still to come: {some}{more}. Is every batch handed to `take`, with the consumer's positions "
        "or its end-of-partition messages, and does Kafka answer?"
    )
