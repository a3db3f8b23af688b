"""`query`: a user's active segments, asked of the worker."""

from __future__ import annotations

import asyncio
import json
from uuid import uuid4

from schemas.envelope import qualified
from schemas.topics import Topic
from worker.cli.console import complain, err, show, write
from worker.cli.render import line, snapshot
from worker.cli.sender import Sender, make
from worker.cli.tail import Event, Tail, is_caused, tail
from worker.settings import Settings, load

SOURCE = "/segmentation/query"


async def ask(settings: Settings, user_id: str, timeout: float) -> Event | None:
    """The worker's `membership.snapshot`, or its rejection, or None where none came in time."""
    command = make(
        {"type": "membership.query", "data": {"user_id": user_id}, "id": str(uuid4())},
        SOURCE,
        settings.record_bytes_max,
    )
    async with tail(settings, (Topic.REPLIES, Topic.REJECTIONS)) as reading, Sender(settings) as sender:
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
        complain(f"no answer within {timeout:g} s: does a worker run? See its log and /readyz, then ask again")
        return False
    if event["type"] != qualified("membership.snapshot"):
        err.print(line(event))
        return False
    if as_json:
        write(json.dumps(event["data"], ensure_ascii=False))
    else:
        show(snapshot(event))
    return True


async def _answer(reading: Tail, command_id: str) -> Event:
    while True:
        for event in await reading.poll():
            if is_caused(event, command_id, SOURCE):
                return event
