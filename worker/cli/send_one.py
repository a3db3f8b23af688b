"""`send`: one command, and what became of it."""

from __future__ import annotations

import asyncio

from rich.text import Text

from schemas.binding import parse
from worker.cli.console import complain, out, plain
from worker.cli.render import line, short_type
from worker.cli.sender import Sender, make
from worker.cli.tail import tail
from worker.errors import ConfigurationError
from worker.settings import load


async def send_one(
    command_type: str, data: str | None, command_id: str | None, source: str, wait_seconds: float | None
) -> bool:
    """Send one command; with a limit wait for its outcome and print it. False where it was rejected or none came."""
    settings = load()
    try:
        content = parse((data or "{}").encode())
    except ValueError as error:
        raise ConfigurationError(
            f"""the data is not JSON: {error}; quote it for your shell, such as '{{"user_id": "ada"}}'"""
        ) from error
    given = {"type": command_type, "data": content, "id": command_id}
    command = make(given, source, settings.record_bytes_max)
    if wait_seconds is None:
        async with Sender(settings) as sender:
            await sender.send(command)
            await sender.flush()
        out.print(Text(f"sent {command.type} {plain(command.id)}"))
        return True
    async with tail(settings) as reading, Sender(settings) as sender:
        await sender.send(command)
        await sender.flush()
        try:
            async with asyncio.timeout(wait_seconds):
                while True:
                    for event in await reading.poll():
                        if event.get("causationid") == command.id:
                            out.print(line(event))
                            return short_type(event) not in ("command.rejected", "report.failed")
        except TimeoutError:
            complain(
                f"no outcome of {command.id} within {wait_seconds:g} s: either no worker runs (see its log and "
                "/readyz), or a command of this id and source was applied before"
            )
            return False
