"""`send -`: commands from standard input, a JSON object a line, in constant memory."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator

from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from worker.cli.console import err, out
from worker.cli.send import Sender, make, outcome, summary
from worker.cli.tail import Tail, tail
from worker.errors import ConfigurationError
from worker.settings import Settings

OUTSTANDING_MAX = 20_000
"""Commands sent whose outcome was not seen yet; with so many the sending waits."""
READ_BYTES = 64 * 1024
LINE_BYTES_MAX = 8 * 1024 * 1024
WRONG_LINES_SHOWN_MAX = 20


class Stream:
    """One run of `send -`."""

    def __init__(self, settings: Settings, source: str, wait_seconds: float | None) -> None:
        self._settings, self._source, self._wait_seconds = settings, source, wait_seconds
        self._outstanding: set[str] = set()
        self._counts: Counter[str] = Counter()
        self._sent = self._wrong = 0
        self._heard_at = time.monotonic()
        self._heard = asyncio.Event()

    async def run(self) -> bool:
        """Send all; with a wait until every outcome is there, or none came for so long."""
        with Progress(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=err) as progress:
            self._progress, self._task = progress, progress.add_task("sending")
            async with Sender(self._settings) as sender:
                if self._wait_seconds is None:
                    await self._send_all(sender)
                else:
                    async with tail(self._settings) as reading:
                        listening = asyncio.create_task(self._listen(reading))
                        try:
                            await self._send_all(sender)
                            await self._room(0)
                        finally:
                            listening.cancel()
        out.print(f"{self._sent:,} sent" + (f": {summary(self._counts)}" if self._wait_seconds is not None else ""))
        if self._wrong:
            err.print(f"[bold red]{self._wrong:,} lines were no command and were not sent[/]")
        if self._outstanding:
            err.print(
                f"[bold red]{len(self._outstanding):,} without an outcome within {self._wait_seconds:g} s[/]: no "
                "worker runs, or commands of the same id and source were applied before"
            )
        return not (self._wrong or self._outstanding or self._counts["rejected"])

    async def _send_all(self, sender: Sender) -> None:
        number = 0
        async for text in _lines():
            number += 1
            if not text.strip():
                continue
            try:
                command = make(_object(text), self._source)
            except ConfigurationError as error:
                self._note_wrong(number, error)
                continue
            if self._wait_seconds is not None:
                await self._room(OUTSTANDING_MAX - 1)
                self._outstanding.add(command.id)
            await sender.send(command)
            self._sent += 1
            if self._sent % 100 == 0:
                self._show()
        await sender.flush()
        self._show()

    def _note_wrong(self, number: int, error: ConfigurationError) -> None:
        self._wrong += 1
        if self._wrong <= WRONG_LINES_SHOWN_MAX:
            err.print(f"[red]line {number}:[/] {escape(str(error))}")
        elif self._wrong == WRONG_LINES_SHOWN_MAX + 1:
            err.print("[red]more wrong lines are only counted[/]")

    async def _room(self, outstanding_max: int) -> None:
        """Wait until no more than so many are outstanding, or nothing was heard for the whole wait."""
        assert self._wait_seconds is not None
        self._heard_at = max(self._heard_at, time.monotonic() - self._wait_seconds / 2)
        while len(self._outstanding) > outstanding_max:
            left = self._heard_at + self._wait_seconds - time.monotonic()
            if left <= 0:
                return
            self._heard.clear()
            try:
                async with asyncio.timeout(left):
                    await self._heard.wait()
            except TimeoutError:
                continue

    async def _listen(self, reading: Tail) -> None:
        while True:
            for event in await reading.poll():
                cause = event.get("causationid")
                if cause in self._outstanding:
                    self._outstanding.discard(cause)
                    self._counts[outcome(event)] += 1
                    self._heard_at = time.monotonic()
            self._heard.set()
            self._show()

    def _show(self) -> None:
        text = f"{self._sent:,} sent"
        if self._wait_seconds is not None:
            text += f", {summary(self._counts)}"
        self._progress.update(self._task, description=text)


def _object(text: bytes) -> dict[str, object]:
    try:
        command = json.loads(text)
    except ValueError as error:
        raise ConfigurationError(f"not JSON: {error}") from error
    if not isinstance(command, dict):
        raise ConfigurationError('must be an object such as {"type": "user.register", "data": {"user_id": "u1"}}')
    return command


async def _lines() -> AsyncIterator[bytes]:
    """Standard input's lines, as soon as they are there."""
    rest = b""
    while block := await asyncio.to_thread(os.read, sys.stdin.fileno(), READ_BYTES):
        *lines, rest = (rest + block).split(b"\n")
        if len(rest) > LINE_BYTES_MAX:
            raise ConfigurationError(f"a line is longer than {LINE_BYTES_MAX} bytes")
        for line in lines:
            yield line
    if rest:
        yield rest
