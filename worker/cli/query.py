"""`query`: a user's active segments, asked of the worker."""

from __future__ import annotations

import asyncio
import json
from uuid import uuid4

from rich.text import Text

from schemas.envelope import qualified
from schemas.topics import Topic
from worker.cli.console import complain, err, plain, show, write
from worker.cli.render import line, snapshot
from worker.cli.sender import Sender, make
from worker.cli.tail import Event, Tail, is_caused, tail
from worker.errors import WorkerError
from worker.postgres.session import Database
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
    settings = load()
    event = await ask(settings, user_id, timeout)
    if event is None:
        complain(
            f"no answer within {timeout:g} s over Kafka at {settings.kafka_bootstrap_servers}: does a worker run? "
            "See its log and /readyz, then ask again"
        )
        return False
    if event["type"] != qualified("membership.snapshot"):
        err.print(line(event))
        return False
    is_known = bool(event["data"]["segments"]) or await _is_known(settings, user_id)
    if as_json:
        write(json.dumps(event["data"], ensure_ascii=False))
    elif is_known:
        show(snapshot(event))
    if not is_known:
        complain(f"nobody knows the user {user_id}: no command has registered it, or it was forgotten")
    return is_known


async def _is_known(settings: Settings, user_id: str) -> bool:
    """The answer of a worker does not tell; where PostgreSQL can't be asked, it is said that nobody can."""
    session = Database(settings).session("query")
    try:
        row = await session.row("user_is_known", user_id)
    except WorkerError as error:
        err.print(Text(f"whether the user is known at all can't be said: {plain(error)}", "dim"))
        return True
    finally:
        await session.close()
    return bool(row["is_known"])


async def _answer(reading: Tail, command_id: str) -> Event:
    while True:
        for event in await reading.poll():
            if is_caused(event, command_id, SOURCE):
                return event
