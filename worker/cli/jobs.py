"""`jobs` and `preview`: what runs by itself, and what a percent would do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from schemas.encode import encode_data
from worker.cli.console import counted, out, percent_text, plain, show, write
from worker.cli.render import local_time
from worker.errors import ConfigurationError
from worker.postgres.session import Database, Record
from worker.settings import load

PREVIEW_SECONDS_MAX = 600.0


async def jobs(*, as_json: bool) -> None:
    """Print the jobs, rollouts and deletions: running or last done, how far, how fast, how long still."""
    session = Database(load()).session("jobs")
    try:
        rows = await session.fetch("jobs_list", now := datetime.now(UTC))
    finally:
        await session.close()
    if as_json:
        for row in rows:
            write(encode_data(dict(row)).decode())
        return
    table = Table("what", "state", "began", "done", "rate", "left", "next", box=SIMPLE_HEAD)
    for row in rows:
        table.add_row(*_cells(row, now))
    show(table)
    for row in rows:
        if row["error"]:
            times = counted(row["failures"], "times")
            out.print(Text(f"{row['name']} has failed {times}: {plain(row['error'])}", style="red"))
    if not rows:
        out.print("nothing has run yet: no worker has been up")


async def preview(percent: Decimal, segment: str | None) -> None:
    """Print how many users would enter and leave; raises ConfigurationError for an unknown segment."""
    session = Database(load()).session("preview", statement_seconds_max=PREVIEW_SECONDS_MAX)
    try:
        row = await session.row("preview", segment, percent, uuid4())
    finally:
        await session.close()
    if not row["is_found"]:
        raise ConfigurationError(f"Segment {segment!r} does not exist; leave it out to preview a new one")
    name = segment or "a new segment"
    out.print(
        f"{percent_text(percent)} % of {name}: {row['inside']:,} of {row['users']:,} users are inside; "
        f"{row['entering']:,} would enter, {row['leaving']:,} would leave",
        markup=False,
    )


def _cells(row: Record, now: datetime) -> list[str]:
    is_running = row["outcome"] == "running" or bool(
        row["started_at"] and not row["finished_at"] and not row["outcome"]
    )
    state = row["outcome"] or ("running" if is_running else "scheduled")
    seconds = ((row["finished_at"] or now) - row["started_at"]).total_seconds() if row["started_at"] else 0.0
    rate = row["done"] / seconds if seconds > 0 and state != "waiting" else 0.0
    done, left = counted(row["done"], row["unit"]), ""
    if row["total"] is not None:
        done = f"{row['done']:,} of {counted(row['total'], row['unit'])}"
        if is_running and rate:
            left = str(timedelta(seconds=round(max(0, row["total"] - row["done"]) / rate)))
    name = row["name"] if row["kind"] == "job" else f"{row['kind']} of {row['name']}"
    return [
        name,
        state,
        local_time(row["started_at"]),
        done if row["started_at"] else "",
        f"{rate:,.0f}/s" if rate else "",
        left,
        "" if is_running else "now" if row["next_at"] and row["next_at"] <= now else local_time(row["next_at"]),
    ]
