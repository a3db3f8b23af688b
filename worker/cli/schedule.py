"""`schedule` and `unschedule`: commands that are yet to take effect, seen and taken back."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from schemas.commands import COMMANDS
from schemas.encode import encode_data
from schemas.producer import Place
from schemas.topics import topic_name
from schemas.values import shown
from worker.cli import coming
from worker.cli.console import complain, out, plain, show, write
from worker.cli.outcomes import Outcomes, silence
from worker.cli.render import local_time
from worker.cli.sender import Sender, make
from worker.cli.tail import tail
from worker.errors import ConfigurationError
from worker.postgres.session import Database, Record
from worker.settings import Settings, load

SOURCE = "/segmentation/unschedule"


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
    async with tail(settings) as reading, Sender(settings) as sender:
        outcomes = Outcomes(reading, sender, wait_seconds)
        await outcomes.send([command])
    if outcomes.type_of(command) is None:
        complain(silence(wait_seconds))
    return outcomes.type_of(command) == "command.unscheduled"


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
