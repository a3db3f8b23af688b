"""`report` and `reports`: ask for a month's report, and see what became of all of them."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from schemas.encode import encode_data
from schemas.topics import Topic
from worker.cli.console import complain, counted, err, out, plain, show, write
from worker.cli.render import line, local_time, short_type
from worker.cli.sender import Sender, make
from worker.cli.tail import Event, Tail, is_caused, tail
from worker.postgres.session import Database, Record
from worker.reports.months import Month
from worker.settings import Settings, load

SOURCE = "/segmentation/report"
STATE_STYLES = {"published": "green", "failed": "red", "partial": "yellow", "in the making": "cyan"}


async def request(month: Month, timeout: float, *, as_json: bool) -> bool:
    """Ask the workers for the month's report and print its link; False where it failed or did not come in time."""
    settings = load()
    data = {"year": month.year, "month": month.month}
    command = make({"type": "report.request", "data": data, "id": str(uuid4())}, SOURCE)
    async with tail(settings, (Topic.REPORT_EVENTS, Topic.REJECTIONS)) as reading, Sender(settings) as sender:
        await sender.send(command)
        await sender.flush()
        err.print(Text(f"asked for the report of {month} …", "dim"))
        try:
            async with asyncio.timeout(timeout):
                event = await _outcome(settings, reading, command.id, month)
        except TimeoutError:
            complain(
                f"no report within {timeout:g} s over Kafka at {settings.kafka_bootstrap_servers}. "
                "It is still wanted and comes when a worker has made it: "
                "see `segmentation reports`, and `segmentation jobs` for how far it is"
            )
            return False
    if as_json:
        write(json.dumps(event["data"], ensure_ascii=False))
    elif short_type(event) == "report.published":
        _links(event["data"])
        sizes = f"{counted(event['data']['rows'], 'rows')}, {counted(event['data']['bytes'], 'bytes')}"
        err.print(Text(sizes, "dim"))
    else:
        err.print(line(event))
    return short_type(event) == "report.published"


def _links(data: dict[str, Any]) -> None:
    """The file's first, as a script expects it; a person is told which is which."""
    for name, link in (("every row  ", data["link"]), ("to read    ", data.get("page_link"))):
        if link:
            out.print(Text.assemble((name if out.is_terminal else "", "dim"), plain(link)))


async def listing(*, as_json: bool) -> None:
    """Print every month with its state, rows and links, and what went wrong."""
    session = Database(load()).session("reports")
    try:
        rows = await session.fetch("report_list")
    finally:
        await session.close()
    if as_json:
        for row in rows:
            write(encode_data(_document(row)).decode())
        return
    if not rows:
        out.print("no report was made or asked for yet; `segmentation report YYYY-MM` asks for one")
        return
    table = Table("month", "state", "made", "rows", "bytes", "attempts", box=SIMPLE_HEAD)
    for row in rows:
        made = local_time(row["made_at"])
        counts = ("" if row[name] is None else f"{row[name]:,}" for name in ("rows", "bytes"))
        word = state(row)
        table.add_row(f"{row['month']:%Y-%m}", Text(word, STATE_STYLES.get(word, "")), made, *counts, _attempts(row))
    show(table)
    for row in rows:
        _details(row)


def _document(row: Record) -> dict[str, Any]:
    """The month as commands and events have it."""
    month = Month.of(row["month"])
    rest = {name: value for name, value in row.items() if name != "month"}
    return {"year": month.year, "month": month.month, "state": state(row), **rest}


def state(row: Record) -> str:
    """A word for how the month's report stands."""
    if row["began_at"] and not row["ended_at"]:
        return "in the making"
    if row["error_code"]:
        return "failed"
    if row["requests"]:
        return "asked for"
    if row["journal_dropped_at"] and not row["made_at"]:
        return "dropped"
    return "partial" if row["is_partial"] else "published"


def _details(row: Record) -> None:
    month = f"{row['month']:%Y-%m}"
    if row["link"]:
        out.print(Text.assemble((f"{month}  ", "bold"), plain(row["link"])))
    if row["page_link"]:
        out.print(Text.assemble(" " * 9, (plain(row["page_link"]), "dim")))
    if row["error_code"]:
        again = _again(row)
        text = (
            f"{month}  failed {counted(row['failures'], 'times')}, {row['error_code']}: {plain(row['error'])} ({again})"
        )
        out.print(Text(text, "red"))


def _again(row: Record) -> str:
    """When a failed report is tried again."""
    if row["retry_at"]:
        return f"tried again at {local_time(row['retry_at'])}"
    if row["requests"] or not row["is_permanent"]:
        return "about to be tried again"
    if row["is_partial"] is not False and datetime.now(UTC).date() < Month.of(row["month"]).ends.date():
        return "tried again at the month's end, or when you ask for it"
    return "waits until you ask for it again"


def _attempts(row: Record) -> str:
    return "" if row["attempts"] is None else str(row["attempts"])


async def _outcome(settings: Settings, reading: Tail, command_id: str, month: Month) -> Event:
    """The event that settles it: failures that are tried again by themselves are told on the way."""
    while True:
        for event in await reading.poll():
            if not is_caused(event, command_id, SOURCE):
                continue
            retry_at = await _retry_at(settings, month) if short_type(event) == "report.failed" else None
            if retry_at is None:
                return event
            err.print(line(event))
            err.print(Text(f"it is tried again at {local_time(retry_at)}; waiting …", "dim"))


async def _retry_at(settings: Settings, month: Month) -> datetime | None:
    """When the month's report is tried again by itself; None for not."""
    session = Database(settings).session("report")
    try:
        rows = await session.fetch("report_list")
    finally:
        await session.close()
    return next((row["retry_at"] for row in rows if row["month"] == month.first_day), None)
