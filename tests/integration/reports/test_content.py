"""A report that a real worker makes after a random load, held against one computed from its events alone."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tests.support.line import Said, line, working
from tests.support.load import Load
from worker.settings import Settings

BURSTS = 12
HEADER = ["user_id", "segment", "operation", "reason", "time", "expires_at", "command_id"]


async def test_it_tells_what_the_events_tell(settings: Settings, topics: list[str], tmp_path: Path) -> None:
    settings = settings.model_copy(update={"report_storage": f"directory:{tmp_path}/of all"})
    month = datetime.now(UTC)
    async with working(settings), line(settings) as outside:
        load = Load(outside, 11)
        await load.populate()
        await load.run(asyncio.Event(), bursts_max=BURSTS, pause_seconds=0.1)
        told = await outside.settled()
        sequence = max(int(one.event["sequence"]) for one in told if one.type == "membership.changed")
        report = await outside.ask("report.request", {"year": month.year, "month": month.month})
        said = [one for one in await outside.settled() if _before(one, report)]
    assert report.type == "report.published"
    content = Path(unquote(urlsplit(report.data["link"]).path)).read_bytes()
    assert (len(content), hashlib.sha256(content).hexdigest()) == (report.data["bytes"], report.data["sha256"])
    rows = list(csv.reader(io.StringIO(content.decode(), newline=""), delimiter=";"))
    wanted = _rows(said)
    assert rows[0] == HEADER
    assert len(rows) - 1 == report.data["rows"]
    # what jobs have journaled between the report's snapshot and its event is not in it yet
    assert rows[1:] == wanted[: len(rows) - 1]
    assert len(rows) - 1 >= len(_rows([one for one in said if int(one.event["sequence"]) <= sequence]))
    assert {row[2] for row in rows[1:]} == {"entered", "exited", "renewed"}
    assert {"command", "rollout", "user_registered", "user_forgotten"} <= {row[3] for row in rows[1:]}


def _before(one: Said, report: Said) -> bool:
    return int(one.event.get("sequence", 0)) < int(report.event["sequence"])


def _rows(said: list[Said]) -> list[list[str]]:
    """The report as the contract has it, by the events in the order of their numbers."""
    rows = []
    changes = [one for one in said if one.type == "membership.changed"]
    for one in sorted(changes, key=lambda one: int(one.event["sequence"])):
        for word in ("entered", "renewed", "exited"):
            for item in one.data[word]:
                row = [one.data["user_id"], item["segment"], word, one.data["reason"], _text(one.event["time"])]
                rows.append([*row, _text(item.get("expires_at")), one.cause or ""])
    return rows


def _text(time: str | None) -> str:
    return "" if time is None else datetime.fromisoformat(time).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
