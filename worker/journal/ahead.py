"""Reads the relay's next share while the one before it is written, so that PostgreSQL and Kafka do not take turns."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from worker.journal.cursor import Cursor
from worker.journal.share import Share
from worker.postgres.session import Session

Read = Callable[[Cursor], Coroutine[Any, Any, Share | None]]
"""Reads what comes after a cursor; None where nothing waits."""


class Ahead:
    """At most one share is read ahead, over the leader's session: who needs that meanwhile waits until it is `over`."""

    def __init__(self, session: Session, read: Read) -> None:
        self._session, self._read = session, read
        self._reading: asyncio.Task[Share | None] | None = None

    def begin(self, position: Cursor) -> None:
        """Begin to read what comes after the cursor; the next call of `after` must be for the same one."""
        assert self._reading is None
        self._reading = asyncio.create_task(self._read(position))

    async def after(self, position: Cursor) -> Share | None:
        """What comes after the cursor by now; errors of what was read ahead are raised here."""
        reading, self._reading = self._reading, None
        share = None if reading is None else await reading
        return share or await self._read(position)  # what there was not then may be there now

    async def over(self) -> bool:
        """Wait until the session is free; returns whether it may be used: errors end it, and stay for `after`."""
        if self._reading is None:
            return True
        await asyncio.wait({self._reading})
        return self._reading.exception() is None

    async def ping(self) -> None:
        """Keep the session while something is written, as reading over it does; raises Unavailable if it is lost."""
        reading = self._reading
        if reading is not None and not reading.done():
            return
        if reading is not None and not self._session.is_open():
            reading.result()  # raises what ended it
        await self._session.fetch("session_ping")

    async def close(self) -> None:
        """Give up what is read ahead."""
        reading, self._reading = self._reading, None
        if reading is None:
            return
        is_reading = reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        if is_reading:
            await self._session.abandon()
