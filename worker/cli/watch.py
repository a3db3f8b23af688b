"""`watch`: events as they come."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass

from worker.cli.console import err, out, require_reader, write
from worker.cli.render import line, short_type
from worker.cli.tail import Event, tail
from worker.settings import load


@dataclass(frozen=True, slots=True)
class Choice:
    """Which events to print; None stands for all. A rejection is its command's key's: a user's or a segment's."""

    user: str | None
    segment: str | None
    event_type: str | None

    def takes(self, event: Event) -> bool:
        """Whether the event is one of them."""
        name = short_type(event)
        if self.event_type is not None and name != self.event_type:
            return False
        data = event.get("data")
        if not isinstance(data, dict):
            return self.user is None and self.segment is None
        key = event.get("partitionkey") if name == "command.rejected" else None
        if self.user is not None and self.user not in (data.get("user_id"), key):
            return False
        return self.segment is None or self.segment == key or self.segment in _segments(data)


async def watch(
    choice: Choice, *, from_beginning: bool, as_json: bool, count: int | None, seconds_max: float | None
) -> bool:
    """Print until interrupted, or until so many events or seconds; False where the seconds ended before the count."""
    left = count
    async with tail(load(), from_beginning=from_beginning) as reading:
        if err.is_terminal:
            err.print("[dim]waiting for events; Ctrl-C ends[/]")
        try:
            async with asyncio.timeout(seconds_max):
                while left is None or left > 0:
                    events = [event for event in await reading.poll() if choice.takes(event)][:left]
                    for event in events:
                        _print(event, as_json=as_json)
                    require_reader()  # there may be nothing more to write for ever
                    left = None if left is None else left - len(events)
        except TimeoutError:
            return count is None
    return True


def _print(event: Event, *, as_json: bool) -> None:
    if as_json:
        write(json.dumps(event, ensure_ascii=False))
    else:
        out.print(line(event))


def _segments(data: Event) -> list[object]:
    """All that the event names, of whatever form."""
    names: list[object] = [data.get("segment")]
    for part in ("entered", "exited", "renewed", "unchanged", "segments"):
        items = data.get(part)
        if isinstance(items, list):
            names += [item.get("segment") if isinstance(item, dict) else item for item in items]
    return names
