"""`send`: one command, and what became of it."""

from __future__ import annotations

from datetime import UTC, datetime

from rich.text import Text

from schemas.binding import parse
from schemas.times import rfc3339
from worker.cli.console import complain, out, plain
from worker.cli.decided import Decided
from worker.cli.instants import instant
from worker.cli.outcomes import Outcomes
from worker.cli.sender import Prepared, Sender, make
from worker.cli.silence import NO_WORKER
from worker.cli.tail import tail
from worker.errors import ConfigurationError
from worker.settings import load

RETRY = "; a retry under this id must repeat that instant: --at {}"
"""Since the same distance from another now is another instant, and so another command."""


async def send_one(
    command_type: str,
    data: str | None,
    command_id: str | None,
    source: str,
    wait_seconds: float | None,
    at: str | None = None,
) -> bool:
    """Send one command, to take effect at that time if one is given; with a limit wait for its outcome and print it.

    False where it was rejected or none came.
    """
    settings = load()
    try:
        content = parse((data or "{}").encode())
    except ValueError as error:
        raise ConfigurationError(
            f"""the data is not JSON: {error}; quote it for your shell, such as '{{"user_id": "ada"}}'"""
        ) from error
    effective_at = None if at is None else rfc3339(instant(at, "--at", datetime.now(UTC)))
    given = {"type": command_type, "data": content, "id": command_id, "effectiveat": effective_at}
    command = make(given, source, settings.record_bytes_max)
    if at is not None and effective_at is not None and at.startswith("P"):
        out.print(Text(f"--at {at} is {effective_at}" + (RETRY.format(effective_at) if command_id else "")))
    if wait_seconds is None:
        async with Sender(settings) as sender:
            await sender.send(command)
            await sender.flush()
        out.print(Text(f"sent {command.type} {plain(command.id)}"))
        return True
    async with tail(settings) as reading, Decided(settings) as decided, Sender(settings) as sender:
        before = await decided.before([command] if command.is_named else [])
        await sender.send(command)
        await sender.flush()
        if command in before:
            return _tell(command, before[command])
        outcomes = Outcomes(reading, sender, wait_seconds)
        await outcomes.hear([command])
        outcome = outcomes.type_of(command)
        if outcome is None:
            complain(_silence(command, wait_seconds, decided.problem))
        return outcome not in (None, "command.rejected", "report.failed")


def _tell(command: Prepared, code: str) -> bool:
    """A command that was decided before has no outcome of its own: what it was then is told."""
    what = f"{command.type} {plain(command.id)} of {plain(command.command.source)}"
    if code:
        out.print(Text(f"rejected before: {code}; {what} is not judged again, send what was mended under another id"))
    else:
        at = command.command.effective_at
        word = "scheduled" if at and at > datetime.now(UTC) else "applied"
        out.print(Text(f"{word} before: {what}; nothing was done a second time"))
    return not code


def _silence(command: Prepared, wait_seconds: float, problem: str | None) -> str:
    said = f"no outcome of {command.id} within {wait_seconds:g} s: "
    if not command.is_named or problem is None:
        return said + NO_WORKER
    return (
        f"{said}either no worker runs (see its log and /readyz), or a command of this id and source was decided "
        f"before, which could not be looked up: {problem}"
    )
