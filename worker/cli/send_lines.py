"""`send -`: commands from standard input, a JSON object a line, in constant memory."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Sequence

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from schemas.binding import parse
from worker.cli import standard_input
from worker.cli.console import complain, err, out, plain
from worker.cli.decided import Decided
from worker.cli.render import is_unchanged, short_type
from worker.cli.sender import Prepared, Sender, make
from worker.cli.silence import NO_WORKER
from worker.cli.tail import Event, Tail, tail
from worker.errors import ConfigurationError
from worker.settings import Settings, load

OUTSTANDING_MAX = 20_000
"""Commands sent whose outcome was not seen yet; with so many the sending waits."""
WRONG_LINES_SHOWN_MAX = 20
Name = tuple[str, str]
"""A command's source and id."""


async def send_lines(source: str, wait_seconds: float | None) -> bool:
    """Send what standard input holds; False where a line was wrong, or a command rejected or without outcome."""
    return await Stream(load(), source, wait_seconds).run()


class Stream:
    """One run of `send -`. `wait_seconds` is how long without any outcome ends the wait for outcomes, None: no wait."""

    def __init__(self, settings: Settings, source: str, wait_seconds: float | None) -> None:
        self._settings, self._source, self._wait_seconds = settings, source, wait_seconds
        self._outstanding: dict[Name, set[int]] = {}
        self._counts: Counter[str] = Counter()
        self._sent = self._wrong = self._without_outcome = self._bytes = 0
        self._problem: str | None = None
        self._heard_at = 0.0
        self._heard = asyncio.Event()
        columns = (SpinnerColumn(), BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        self._progress = Progress(*columns, console=err, disable=not err.is_terminal, transient=True)
        self._task = self._progress.add_task("0 sent", total=standard_input.bytes_of_file())

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
        async with tail(self._settings) as reading, Decided(self._settings) as decided:
            listening = asyncio.create_task(self._listen(reading))
            sending = asyncio.create_task(self._send_and_await(sender, decided))
            try:
                await asyncio.wait({listening, sending}, return_when=asyncio.FIRST_COMPLETED)
                (listening if listening.done() else sending).result()  # listening ends by an error only
            finally:
                sending.cancel()
                listening.cancel()
                await asyncio.wait({listening, sending})

    async def _send_and_await(self, sender: Sender, decided: Decided) -> None:
        await self._send_all(sender, decided)
        await self._room(0)
        self._problem = decided.problem

    async def _send_all(self, sender: Sender, decided: Decided | None = None) -> None:
        """A block of lines at a time, as they come."""
        number = 0
        async for texts in standard_input.lines():
            commands = []
            for text in texts:
                number += 1
                self._bytes += len(text) + 1
                command = self._made(number, text) if text.strip() else None
                commands += [] if command is None else [command]
            await self._send_block(sender, commands, decided)
            self._show()
        await sender.flush()
        self._show()

    def _made(self, number: int, text: bytes) -> Prepared | None:
        try:
            return make(_object(text), self._source, self._settings.record_bytes_max)
        except ConfigurationError as error:
            self._note_wrong(number, error)
            return None

    async def _send_block(self, sender: Sender, commands: Sequence[Prepared], decided: Decided | None) -> None:
        """Those that were decided before, or are on their way already, have no outcome to wait for."""
        before: dict[Prepared, str] = {}
        if decided is not None:
            named = [command for command in commands if command.is_named and not command.is_answered_elsewhere]
            repeated = [command for command in named if self._is_outstanding(command)]
            first = {(_name(command), command.command.content): command for command in reversed(named)}
            repeated += [command for command in named if first[_name(command), command.command.content] is not command]
            before = await decided.before(named) | dict.fromkeys(repeated, "")
        for command in commands:
            if decided is not None and not command.is_answered_elsewhere:
                await self._expect(command, before.get(command))
            await sender.send(command)
            self._sent += 1

    async def _expect(self, command: Prepared, before: str | None) -> None:
        if before is None:
            await self._room(OUTSTANDING_MAX - 1)
            self._outstanding.setdefault(_name(command), set()).add(command.command.content)
        else:
            self._counts["rejected" if before else "repeated"] += 1

    def _is_outstanding(self, command: Prepared) -> bool:
        return command.command.content in self._outstanding.get(_name(command), ())

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
            self._without_outcome += sum(map(len, self._outstanding.values()))
            self._outstanding.clear()

    async def _listen(self, reading: Tail) -> None:
        while True:
            for event in await reading.poll():
                name = self._name_of(event)
                if name in self._outstanding:
                    self._outstanding[name].pop()
                    if not self._outstanding[name]:
                        del self._outstanding[name]
                    self._counts[_outcome(event)] += 1
                    self._heard_at = time.monotonic()
                    self._heard.set()
            self._show()

    def _name_of(self, event: Event) -> Name:
        """What names the command behind the event; older versions tell its id alone."""
        command_id = str(event.get("causationid"))
        if "causationsource" in event:
            return str(event["causationsource"]), command_id
        return next((name for name in self._outstanding if name[1] == command_id), ("", command_id))

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
                f"{self._without_outcome:,} without an outcome within {self._wait_seconds:g} s: "
                + _cause_of_silence(self._problem)
            )
        return not (self._wrong or self._without_outcome or self._counts["rejected"])


def _name(command: Prepared) -> Name:
    return command.command.source, command.id


def _cause_of_silence(problem: str | None) -> str:
    if problem is None:
        return NO_WORKER
    return (
        "no worker runs, or commands of the same id and source were decided before, which could not be looked up: "
        + problem
    )


def _outcome(event: Event) -> str:
    match short_type(event):
        case "command.rejected":
            return "rejected"
        case "membership.snapshot":
            return "answered"
        case "command.scheduled":
            return "scheduled"
        case _:
            return "unchanged" if is_unchanged(event) else "applied"


def _summary(counts: Counter[str]) -> str:
    names = ["applied", "unchanged", "rejected"] + [
        name for name in ("scheduled", "answered", "repeated") if counts[name]
    ]
    return ", ".join(f"{counts[name]:,} {name}" for name in names)


def _object(text: bytes) -> dict[str, object]:
    if len(text) > standard_input.LINE_BYTES_MAX:
        raise ConfigurationError(f"longer than {standard_input.LINE_BYTES_MAX:,} bytes")
    try:
        command = parse(text)
    except ValueError as error:
        raise ConfigurationError(f"not JSON: {error}") from error
    if not isinstance(command, dict):
        raise ConfigurationError('must be an object such as {"type": "user.register", "data": {"user_id": "ada"}}')
    return command
