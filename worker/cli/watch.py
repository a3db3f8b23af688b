"""`watch`: events as they come."""

from __future__ import annotations

import json
from dataclasses import dataclass

from worker.cli.console import err, out
from worker.cli.render import line, short_type
from worker.cli.tail import Event, tail
from worker.settings import load


@dataclass(frozen=True, slots=True)
class Choice:
    """Which events to print; None stands for all."""

    user: str | None
    segment: str | None
    event_type: str | None

    def takes(self, event: Event) -> bool:
        """Whether the event is one of them."""
        data = event.get("data", {})
        if self.event_type is not None and short_type(event) != self.event_type.removeprefix("segmentation."):
            return False
        if self.user is not None and data.get("user_id") != self.user:
            return False
        return self.segment is None or self.segment in _segments(data)


async def watch(choice: Choice, *, from_beginning: bool, as_json: bool, count: int | None) -> None:
    """Print until interrupted, or until `count` events were printed."""
    left = count
    async with tail(load(), from_beginning=from_beginning) as reading:
        if not as_json:
            err.print("[dim]waiting for events; Ctrl-C ends[/]")
        while True:
            for event in filter(choice.takes, await reading.poll()):
                if as_json:
                    out.print(json.dumps(event, ensure_ascii=False), markup=False)
                else:
                    out.print(line(event))
                if left is not None:
                    left -= 1
                    if left == 0:
                        return


def _segments(data: Event) -> set[str]:
    names = {data.get("segment"), *data.get("unchanged", ())}
    for items in ("entered", "exited", "renewed", "segments"):
        names |= {item["segment"] for item in data.get(items, ())}
    return {name for name in names if name}
