"""`send -`: commands from standard input, a JSON object a line, in constant memory."""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from schemas.binding import parse
from worker.cli.console import complain, err, out, plain
from worker.cli.render import is_unchanged, short_type
from worker.cli.sender import Sender, make
from worker.cli.tail import Event, Tail, tail
from worker.errors import ConfigurationError
from worker.settings import Settings, load

OUTSTANDING_MAX = 20_000
"""Commands sent whose outcome was not seen yet; with so many the sending waits."""
READ_BYTES = 64 * 1024
BLOCKS_AHEAD_MAX = 4
LINE_BYTES_MAX = 4 * 1024 * 1024
WRONG_LINES_SHOWN_MAX = 20
SHOW_EVERY = 100


async def send_lines(source: str, wait_seconds: float | None) -> bool:
    """Send what standard input holds; False where a line was wrong, or a command rejected or without outcome."""
    return await Stream(load(), source, wait_seconds).run()


class Stream:
    """One run of `send -`. `wait_seconds` is how long without any outcome ends the wait for outcomes, None: no wait."""

    def __init__(self, settings: Settings, source: str, wait_seconds: float | None) -> None:
        self._settings, self._source, self._wait_seconds = settings, source, wait_seconds
        self._outstanding: set[str] = set()
        self._counts: Counter[str] = Counter()
        self._sent = self._wrong = self._without_outcome = self._bytes = 0
        self._heard_at = 0.0
        self._heard = asyncio.Event()
        columns = (SpinnerColumn(), BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        self._progress = Progress(*columns, console=err, disable=not err.is_terminal, transient=True)
        self._task = self._progress.add_task("0 sent", total=_bytes_of_file())

    async def run(self) -> bool:
        """Send all; with a wait until every outcome is there, or none came for so long."""
        with self._progress:
            async with Sender(self._settings) as sender:
                if self._wait_seconds is None:
                    await self._send_all(sender)
                else:
                    await self._send_and_listen(sender)
        return self._report()

    async def _send_and_listen(self, sender: Sender) -> None:
        async with tail(self._settings) as reading:
            listening = asyncio.create_task(self._listen(reading))
            sending = asyncio.create_task(self._send_and_await(sender))
            try:
                await asyncio.wait({listening, sending}, return_when=asyncio.FIRST_COMPLETED)
                (listening if listening.done() else sending).result()  # listening ends by an error only
            finally:
                sending.cancel()
                listening.cancel()
                await asyncio.wait({listening, sending})

    async def _send_and_await(self, sender: Sender) -> None:
        await self._send_all(sender)
        await self._room(0)

    async def _send_all(self, sender: Sender) -> None:
        number = 0
        async for text in _lines():
            number += 1
            self._bytes += len(text) + 1
            if text.strip():
                await self._send_line(sender, number, text)
            if number % SHOW_EVERY == 0:
                self._show()
        await sender.flush()
        self._show()

    async def _send_line(self, sender: Sender, number: int, text: bytes) -> None:
        try:
            command = make(_object(text), self._source, self._settings.record_bytes_max)
        except ConfigurationError as error:
            self._note_wrong(number, error)
            return
        if self._wait_seconds is not None and not command.is_answered_elsewhere:
            await self._room(OUTSTANDING_MAX - 1)
            self._outstanding.add(command.id)
        await sender.send(command)
        self._sent += 1

    def _note_wrong(self, number: int, error: ConfigurationError) -> None:
        self._wrong += 1
        if self._wrong <= WRONG_LINES_SHOWN_MAX:
            err.print(Text.assemble((f"line {number}: ", "red"), plain("; ".join(str(error).splitlines()))))
        elif self._wrong == WRONG_LINES_SHOWN_MAX + 1:
            err.print("[red]more wrong lines are only counted[/]")

    async def _room(self, outstanding_max: int) -> None:
        """Wait until no more than so many are outstanding; those that stay silent for the whole wait are given up."""
        assert self._wait_seconds is not None
        if len(self._outstanding) > outstanding_max:
            self._heard_at = time.monotonic()
        while len(self._outstanding) > outstanding_max:
            self._heard.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(self._heard_at + self._wait_seconds - time.monotonic(), 0)):
                    await self._heard.wait()
                    continue
            self._without_outcome += len(self._outstanding)
            self._outstanding.clear()

    async def _listen(self, reading: Tail) -> None:
        while True:
            for event in await reading.poll():
                cause = event.get("causationid")
                if cause in self._outstanding:
                    self._outstanding.discard(cause)
                    self._counts[_outcome(event)] += 1
                    self._heard_at = time.monotonic()
                    self._heard.set()
            self._show()

    def _show(self) -> None:
        text = f"{self._sent:,} sent"
        if self._wait_seconds is not None:
            text += f", {_summary(self._counts)}"
        self._progress.update(self._task, description=text, completed=self._bytes)

    def _report(self) -> bool:
        out.print(f"{self._sent:,} sent" + (f": {_summary(self._counts)}" if self._wait_seconds is not None else ""))
        if self._wrong:
            complain(f"{self._wrong:,} {'line was' if self._wrong == 1 else 'lines were'} no command, and not sent")
        if self._without_outcome:
            complain(
                f"{self._without_outcome:,} without an outcome within {self._wait_seconds:g} s: no worker runs, or "
                "commands of the same id and source were applied before"
            )
        return not (self._wrong or self._without_outcome or self._counts["rejected"])


def _outcome(event: Event) -> str:
    match short_type(event):
        case "command.rejected":
            return "rejected"
        case "membership.snapshot":
            return "answered"
        case _:
            return "unchanged" if is_unchanged(event) else "applied"


def _summary(counts: Counter[str]) -> str:
    names = ["applied", "unchanged", "rejected"] + ["answered"] * bool(counts["answered"])
    return ", ".join(f"{counts[name]:,} {name}" for name in names)


def _object(text: bytes) -> dict[str, object]:
    if len(text) > LINE_BYTES_MAX:
        raise ConfigurationError(f"longer than {LINE_BYTES_MAX:,} bytes")
    try:
        command = parse(text)
    except ValueError as error:
        raise ConfigurationError(f"not JSON: {error}") from error
    if not isinstance(command, dict):
        raise ConfigurationError('must be an object such as {"type": "user.register", "data": {"user_id": "ada"}}')
    return command


async def _lines() -> AsyncIterator[bytes]:
    """Standard input's lines, as soon as they are there; one that is too long is cut."""
    rest = b""
    async for block in _blocks():
        *lines, rest = (rest + block).split(b"\n")
        rest = rest[: LINE_BYTES_MAX + 1]
        for line in lines:
            yield line
    if rest:
        yield rest


async def _blocks() -> AsyncIterator[bytes]:
    """By a thread that nobody waits for: a read that blocks can't be cancelled, and a file can't be polled."""
    loop, blocks = asyncio.get_running_loop(), asyncio.Queue[bytes](BLOCKS_AHEAD_MAX)

    def pump() -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended before the input
            while True:
                block = os.read(sys.stdin.fileno(), READ_BYTES)
                asyncio.run_coroutine_threadsafe(blocks.put(block), loop).result()
                if not block:
                    return

    threading.Thread(target=pump, daemon=True).start()
    while block := await blocks.get():
        yield block


def _bytes_of_file() -> int | None:
    """Standard input's size where it is a file."""
    with contextlib.suppress(OSError, ValueError):
        status = os.fstat(sys.stdin.fileno())
        return status.st_size if stat.S_ISREG(status.st_mode) else None
    return None
