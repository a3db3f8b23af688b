"""A month's summary as one HTML page that needs nothing else: no script, no font, no picture from anywhere.

Run as a program, it reads a summary as JSON and writes the page: `worker.reports.page.process` does so, because drawing
takes memory and holds the interpreter.
"""

from __future__ import annotations

import base64
import calendar
import hashlib
import os
import re
import resource
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from worker.reports.page import charts, figures
from worker.reports.page.summary import Flow, SegmentFlow, Summary
from worker.reports.page.wire import read

HERE = Path(__file__).parent
SEGMENTS_DRAWN_MAX = 12
REASONS_DRAWN_MAX = 12
LINKED = re.compile(r"(https?|file)://", re.IGNORECASE)
"""What a reader may be led to; any other link is shown, not linked."""
CPU_SECONDS_MAX = 60
NICENESS = 10
NOTHING = Flow(0, 0, 0)
REASONS = {
    "command": "A command put a user into a segment, or took it out.",
    "rollout": "A segment's percent changed, and users came in or went out by it.",
    "expiry": "A membership's time was over. Where the segment's percent covers the user, it goes on without an expiry "
    "and counts as renewed.",
    "segment_deleted": "The segment was deleted, which ended all its memberships.",
    "user_registered": "A new user was registered and fell into segments' percents.",
    "import": "A list of users was imported, which put users into a segment, or took them out.",
    "user_forgotten": "A user was forgotten, which ended all its memberships.",
}


@dataclass(frozen=True, slots=True)
class Chart:
    """Drawings of the same, one for each width of a page."""

    drawings: Sequence[Markup]
    days_ahead: int = 0


def render(summary: Summary) -> str:
    """The page. The same summary gives the same page, byte for byte."""
    style = (HERE / "style.css").read_text(encoding="utf-8")
    days = _days(summary)
    names = Counter(segment.segment for segment in summary.segments)
    return (
        _environment()
        .get_template("template.html.j2")
        .render(
            summary=summary,
            style=Markup(style),
            style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
            month=figures.month(summary.year, summary.month),
            is_empty=_size(summary.total) == 0,
            link=summary.file_link if LINKED.match(summary.file_link) else None,
            days=days,
            ambiguous={name for name, count in names.items() if count > 1},
            meanings=REASONS,
            day_chart=_day_chart(summary, days),
            segment_chart=_ranking(_busiest(summary.segments), "Memberships entered and exited, by segment"),
            reason_chart=_ranking(summary.reasons[:REASONS_DRAWN_MAX], "Memberships entered and exited, by reason"),
        )
    )


def _environment() -> Environment:
    """Every value that is not markup of ours is escaped."""
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": figures.number,
        "signed": figures.signed,
        "size": figures.size,
        "plural": figures.plural,
        "moment": figures.moment,
        "day": figures.day,
    }
    return environment


def _shown(value: object) -> object:
    return value if isinstance(value, Markup) or not isinstance(value, str) else figures.printable(value)


def _days(summary: Summary) -> Sequence[tuple[date, Flow]]:
    """All days of the month, also those on which nothing happened."""
    flows = dict(summary.days)
    last = calendar.monthrange(summary.year, summary.month)[1]
    all_days = [date(summary.year, summary.month, number) for number in range(1, last + 1)]
    return [(day, flows.get(day, NOTHING)) for day in all_days]


def _day_chart(summary: Summary, days: Sequence[tuple[date, Flow]]) -> Chart | None:
    if not any(flow.entered or flow.exited for _, flow in days):
        return None
    today = figures.utc(summary.made_at).date()
    ahead = sum(day > today for day, _ in days) if summary.is_partial else 0
    busiest, flow = max(days, key=lambda item: item[1].entered + item[1].exited)
    label = (
        "Memberships entered and exited, and the net of both, on each day of the month. "
        f"The busiest day was {figures.day(busiest)}: "
        f"{figures.number(flow.entered)} entered, {figures.number(flow.exited)} exited."
    )
    bars = [charts.Bar(figures.day(day), flow) for day, flow in days]
    return _chart(charts.days(bars, ahead, label), ahead)


def _chart(drawings: Sequence[str], days_ahead: int = 0) -> Chart:
    """What the drawer gives is markup: it has escaped all text in it."""
    return Chart([Markup(drawing) for drawing in drawings], days_ahead)


def _busiest(segments: Sequence[SegmentFlow]) -> Sequence[tuple[str, Flow]]:
    """Those with most changes, most first."""
    most = sorted(segments, key=lambda segment: -_size(segment.flow))
    return [(segment.segment, segment.flow) for segment in most[:SEGMENTS_DRAWN_MAX]]


def _ranking(rows: Sequence[tuple[str, Flow]], what: str) -> Chart | None:
    bars = [charts.Bar(name, flow) for name, flow in rows if flow.entered or flow.exited]
    if not bars:
        return None
    label = f"{what}. Most: {bars[0].hint}."
    return _chart(charts.ranking(bars, label))


def _size(flow: Flow) -> int:
    return flow.entered + flow.exited + flow.renewed


def main() -> None:
    """Standard input to standard output, after everything else on this machine, and not for ever."""
    _, allowed = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS_MAX, allowed))
    os.nice(NICENESS)
    sys.stdout.buffer.write(render(read(sys.stdin.buffer.read())).encode())


if __name__ == "__main__":
    main()
