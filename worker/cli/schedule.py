"""`schedule`, `unschedule` and `ramp`: commands that take effect later."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from schemas.commands import COMMANDS
from schemas.encode import encode_data
from schemas.producer import Place
from schemas.times import duration, rfc3339
from schemas.topics import topic_name
from schemas.values import shown
from worker.cli import coming
from worker.cli.console import complain, out, plain, show, typed_percent, write
from worker.cli.instants import instant
from worker.cli.render import line, local_time, short_type
from worker.cli.sender import Prepared, Sender, make
from worker.cli.tail import Tail, is_caused, tail
from worker.errors import ConfigurationError
from worker.postgres.session import Database, Record
from worker.settings import Settings, load

SOURCE = "/segmentation/unschedule"
STEPS_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Ramp:
    """What `ramp` was told, as it was typed."""

    segment: str
    percents: str
    every: str
    begin: str | None


async def listing(segment: str | None, user: str | None, limit: int, *, as_json: bool) -> None:
    """Print what is yet to take effect, the soonest first."""
    session = Database(load()).session("schedule")
    try:
        rows = await session.fetch("schedule_list", segment, user, limit + 1)
    finally:
        await session.close()
    if as_json:
        for row in rows[:limit]:
            write(encode_data(coming.document(row)).decode())
        return
    if not rows:
        out.print("nothing is scheduled" + (" there" if segment or user else ""))
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in ("at", "about", "what", "id", "source"):
        table.add_column(column, header_style="dim", overflow="fold")
    for row in rows[:limit]:
        cells = (coming.subject(row), coming.what(row), row["command_id"], row["command_source"])
        table.add_row(Text(local_time(row["effective_at"]), "cyan"), *(Text(plain(cell)) for cell in cells))
    show(table)
    if len(rows) > limit:
        out.print(Text(f"there are more: segmentation schedule --limit {limit * 10}", "dim"))


async def unschedule(command_id: str, source: str | None, wait_seconds: float) -> bool:
    """Take a command back; raises ConfigurationError where none, or more than one, of that id waits."""
    settings = load()
    session = Database(settings).session("unschedule")
    try:
        rows = await session.fetch("schedule_find", command_id, source)
    finally:
        await session.close()
    row = _the_one(rows, command_id)
    data = {"command_id": row["command_id"], "command_source": row["command_source"]}
    command = make({"type": "schedule.cancel", "data": data}, SOURCE, place=_place(settings, row))
    return await _send([command], settings, wait_seconds)


def _the_one(rows: Sequence[Record], command_id: str) -> Record:
    if not rows:
        raise ConfigurationError(
            f"No command {shown(command_id)} waits: it has taken effect, was cancelled, or was never scheduled; "
            "`segmentation schedule` lists those that do"
        )
    if len(rows) > 1:
        sources = ", ".join(sorted(row["command_source"] for row in rows))
        raise ConfigurationError(f"{len(rows)} commands {shown(command_id)} wait; name one by --source: {sources}")
    return rows[0]


def _place(settings: Settings, row: Record) -> Place:
    for topic in COMMANDS["schedule.cancel"].topics:
        if topic_name(settings.topic_prefix, topic) == row["topic"]:
            return Place(topic, row["record_key"])
    raise ConfigurationError(
        f"The command waits on the topic {row['topic']}, which is none of this deployment: is "
        "SEGMENTATION_TOPIC_PREFIX the worker's?"
    )


async def ramp(wanted: Ramp, source: str, wait_seconds: float) -> bool:
    """Send the steps; all of them are checked before the first is sent."""
    settings, name = load(), f"ramp-{uuid4().hex[:8]}"
    commands = [
        make(step | {"id": f"{name}-{number}"}, source, settings.record_bytes_max)
        for number, step in enumerate(steps(wanted, datetime.now(UTC)), 1)
    ]
    return await _send(commands, settings, wait_seconds)


def steps(wanted: Ramp, now: datetime) -> list[dict[str, Any]]:
    """A command for each step, by the calendar from the first one; raises ConfigurationError."""
    begin = now if wanted.begin is None else instant(wanted.begin, "--from", now)
    every = duration(wanted.every)
    if isinstance(every, str):
        raise ConfigurationError(f"--every must be {every}, is {shown(wanted.every)}")
    percents = [_percent(text.strip()) for text in wanted.percents.split(",")]
    if len(percents) > STEPS_MAX:
        raise ConfigurationError(f"a ramp has at most {STEPS_MAX:,} steps, this one has {len(percents):,}")
    try:
        instants = [begin + every * number for number in range(len(percents))]
    except (ValueError, OverflowError):
        raise ConfigurationError(
            "--every leads beyond the year 9999; a command takes effect at most 2 years ahead"
        ) from None
    return [
        {
            "type": "segment.update",
            "data": {"segment": wanted.segment, "percent": percent},
            "effectiveat": rfc3339(at),
        }
        for percent, at in zip(percents, instants, strict=True)
    ]


def _percent(text: str) -> Decimal:
    percent = typed_percent(text)
    if percent is None:
        raise ConfigurationError(
            f"PERCENTS must be numbers from 0 to 100 with two decimals at most, such as 1,5,25,100; "
            f"{shown(text)} is none"
        )
    return percent


async def _send(commands: Sequence[Prepared], settings: Settings, wait_seconds: float) -> bool:
    """Send them and print what comes of each; False where one is rejected, or has no outcome in time."""
    async with tail(settings) as reading, Sender(settings) as sender:
        for command in commands:
            await sender.send(command)
        await sender.flush()
        try:
            async with asyncio.timeout(wait_seconds):
                return await _outcomes(reading, commands)
        except TimeoutError:
            complain(f"no outcome within {wait_seconds:g} s: it seems that no worker runs, see its log and /readyz")
            return False


async def _outcomes(reading: Tail, commands: Sequence[Prepared]) -> bool:
    waiting, is_good = list(commands), True
    while waiting:
        for event in await reading.poll():
            caused = [one for one in waiting if is_caused(event, one.id, one.command.source)]
            if caused:
                waiting.remove(caused[0])
                is_good = is_good and short_type(event) != "command.rejected"
                out.print(line(event))
    return is_good
