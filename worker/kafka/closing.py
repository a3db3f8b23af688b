"""How clients of Kafka end: politely where that is quick, and for good where it is not."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Coroutine
from typing import Any

from aiokafka.errors import KafkaError

CLOSE_SECONDS_MAX = 5.0
"""How long a client may take to say good-bye, s."""


async def abandon(closing: Coroutine[Any, Any, Any], seconds: float = CLOSE_SECONDS_MAX) -> None:
    """Close a client by its own `stop()` or `close()`, and cut it off where that takes longer than the limit.

    What it was asked to do is settled elsewhere.
    """
    client = inspect.getcoroutinelocals(closing).get("self")
    task = asyncio.ensure_future(closing)
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
    finally:
        if not task.done():
            task.cancel()
            if _is_aiokafkas(client):
                await cut_off(client)
    if done:
        with contextlib.suppress(KafkaError, OSError, AssertionError, asyncio.CancelledError):
            task.result()


async def cut_off(client: Any) -> None:
    """End a client at once: its connections are reset, its tasks cancelled; what it still had to send is dropped.

    `stop()` would first send what waits, for as long as that takes, and when it is cancelled, the tasks that it had
    started go on with that, and hold all of it in memory.
    """
    client._closed = True
    parts = [client, *(part for part in vars(client).values() if _is_aiokafkas(part))]
    for part in parts:
        for connection in list(getattr(part, "_conns", {}).values()):
            if connection._writer is not None:
                connection._writer.transport.abort()
            connection.close()
    tasks = [task for task in asyncio.all_tasks() if any(owner(task) is part for part in parts)]
    tasks += [task for part in parts if (task := getattr(part, "_sync_task", None)) and task not in tasks]
    tasks = [task for task in tasks if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=CLOSE_SECONDS_MAX)
        for task in tasks:
            if task.done() and not task.cancelled():
                task.exception()  # as nobody else will ask for it


def owner(task: asyncio.Task[Any]) -> object:
    """The object whose method a task runs."""
    running = task.get_coro()
    return inspect.getcoroutinelocals(running).get("self") if inspect.iscoroutine(running) else None


def _is_aiokafkas(thing: object) -> bool:
    return type(thing).__module__.startswith("aiokafka")
