"""What can only be read by waiting for it, beside a loop that has other things to do meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator
from typing import TypeVar

T = TypeVar("T")
ITEMS_AHEAD_MAX = 4


async def ahead(items: Iterator[T]) -> AsyncIterator[T]:
    """The items, by a thread that nobody waits for: a read that blocks can't be cancelled, nor can a file be polled."""
    loop, found = asyncio.get_running_loop(), asyncio.Queue[tuple[T] | BaseException](ITEMS_AHEAD_MAX)

    def put(item: tuple[T] | BaseException) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended before the input
            asyncio.run_coroutine_threadsafe(found.put(item), loop).result()

    def pump() -> None:
        try:
            for item in items:
                put((item,))
                if loop.is_closed():
                    return
        except BaseException as error:  # noqa: BLE001 - raised where the items are wanted
            put(error)
        else:
            put(StopAsyncIteration())

    threading.Thread(target=pump, daemon=True).start()
    while not isinstance(item := await found.get(), StopAsyncIteration):
        if isinstance(item, BaseException):
            raise item
        yield item[0]
