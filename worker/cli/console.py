"""Where commands write to, and how they end: results on standard output, all else on standard error."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

import typer
from rich.console import Console

from worker.errors import WorkerError

T = TypeVar("T")
EXIT_FAILED = 1

out = Console(soft_wrap=True, highlight=False)
err = Console(stderr=True, soft_wrap=True, highlight=False)


@contextlib.contextmanager
def failing() -> Iterator[None]:
    """Errors that are meant for a person become their text and exit code 1."""
    try:
        yield
    except WorkerError as error:
        for line in str(error).splitlines():
            err.print(f"[bold red]error:[/] {_plain(line)}")
        raise typer.Exit(EXIT_FAILED) from error


def run(work: Coroutine[Any, Any, T]) -> T | None:
    """Run to the end, or until SIGINT or SIGTERM, after which all is closed in order and the result is None."""
    with failing():
        return asyncio.run(_until_signalled(work))


async def _until_signalled(work: Coroutine[Any, Any, T]) -> T | None:
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(work)
    signalled = False

    def stop() -> None:
        nonlocal signalled
        signalled = True
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    try:
        return await task
    except asyncio.CancelledError:
        if not signalled:
            raise
        return None


def _plain(text: str) -> str:
    """Square brackets in other people's text are no markup."""
    return text.replace("[", r"\[")
