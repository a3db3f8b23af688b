"""`query`: a user's active segments, asked of the worker."""

from __future__ import annotations

import asyncio
import json
from uuid import uuid4

from schemas.envelope import qualified
from worker.cli.console import err, out
from worker.cli.render import line, snapshot
from worker.cli.send import Sender, make
from worker.cli.tail import Event, Tail, tail
from worker.settings import Settings, load


async def ask(settings: Settings, user_id: str, timeout: float) -> Event | None:
    """The worker's `membership.snapshot`, or its rejection, or None where none came in time."""
    command = make(
        {"type": "membership.query", "data": {"user_id": user_id}, "id": str(uuid4())}, "/segmentation/query"
    )
    async with tail(settings) as reading, Sender(settings) as sender:
        await sender.send(command)
        await sender.flush()
        try:
            async with asyncio.timeout(timeout):
                return await _answer(reading, command.id)
        except TimeoutError:
            return None


async def query(user_id: str, timeout: float, *, as_json: bool) -> bool:
    """Print the answer; False where there was none."""
    event = await ask(load(), user_id, timeout)
    if event is None:
        err.print(f"no answer within {timeout:g} s: does a worker run? See its log and /readyz")
        return False
    if event["type"] != qualified("membership.snapshot"):
        err.print(line(event))
        return False
    if as_json:
        out.print(json.dumps(event["data"], ensure_ascii=False), markup=False)
    else:
        out.print(snapshot(event))
    return True


async def _answer(reading: Tail, command_id: str) -> Event:
    while True:
        for event in await reading.poll():
            if event.get("causationid") == command_id:
                return event
