"""Where commands write to, and how they end: results on standard output, all else on standard error."""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import io
import logging
import os
import select
import signal
import stat
import sys
from collections.abc import Coroutine, Iterator
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

import typer
from rich.console import Console, RenderableType
from rich.text import Text

from worker.cli.tables import print_whole
from worker.errors import WorkerError

T = TypeVar("T")
EXIT_FAILED = 1


class Output(Console):
    """A console that leaves it to `failing` to end when its reader has gone away."""

    def on_broken_pipe(self) -> None:
        """Called while a BrokenPipeError is handled."""
        raise BrokenPipeError


# no emoji: a segment may be called exp:fire:2
out = Output(soft_wrap=True, highlight=False, emoji=False)
err = Output(stderr=True, soft_wrap=True, highlight=False, emoji=False)


def escape_what_does_not_fit() -> None:
    """Let standard output and error take any text, whatever encoding they have, such as Windows' cp1252.

    What it lacks is written as in JSON, so that a line of JSON stays one.
    """
    codecs.register_error("segmentation", _as_json)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="segmentation")


def _as_json(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{high:02x}{low:02x}" for high, low in zip(units[::2], units[1::2], strict=True)), error.end


def plain(value: object) -> str:
    """Other people's text without what a terminal would obey: line breaks, escape sequences and the like."""
    return "".join(character if character.isprintable() else "�" for character in str(value))


def write(line: str) -> None:
    """A line for programs, on standard output at once and as it is."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def show(rendered: RenderableType) -> None:
    """A table and the like, which keeps to the terminal's width; lines are left to the terminal to wrap."""
    print_whole(out, rendered)


def counted(number: int, nouns: str) -> str:
    """Such as "1 report" and "2 reports", of the plural's form."""
    return f"{number:,} {nouns.removesuffix('s') if number == 1 else nouns}"


def typed_percent(text: str) -> Decimal | None:
    """A percent as a person types it: from 0 to 100 with two decimals at most; None for what is none."""
    try:
        percent = Decimal(text)
    except InvalidOperation:
        return None
    return percent if percent.is_finite() and 0 <= percent <= 100 and percent == round(percent, 2) else None


def percent_text(percent: Decimal | float | str) -> str:
    """A percent as a person writes it: 12.5, not 12.50."""
    return f"{Decimal(str(percent)).normalize():f}"


@contextlib.contextmanager
def patience(text: str) -> Iterator[None]:
    """Show a person who waits at a terminal what is being done."""
    with err.status(text) if err.is_terminal else contextlib.nullcontext():
        yield


def complain(text: str) -> None:
    """Say what went wrong, a line of its own for each problem."""
    for line in text.splitlines():
        err.print(Text.assemble(("error: ", "bold red"), plain(line)))


@contextlib.contextmanager
def failing() -> Iterator[None]:
    """Errors that are meant for a person become their text and exit code 1; a reader that went away ends us quietly."""
    try:
        yield
    except WorkerError as error:
        complain(str(error))
        raise typer.Exit(EXIT_FAILED) from error
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the flush at exit must not fail again
        raise typer.Exit from None


def require_reader() -> None:
    """Raises BrokenPipeError where standard output is a pipe that nobody reads any more, which else a write tells."""
    with contextlib.suppress(io.UnsupportedOperation):
        output = sys.stdout.fileno()
        if hasattr(select, "poll") and stat.S_ISFIFO(os.fstat(output).st_mode):
            poll = select.poll()
            poll.register(output, 0)  # an error or the other side's end is told in any case
            if poll.poll(0):
                raise BrokenPipeError


def run(work: Coroutine[Any, Any, T]) -> T | None:
    """Run to the end, or until SIGINT or SIGTERM, after which all is closed in order and the result is None."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what it can't do comes as an error of ours
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
