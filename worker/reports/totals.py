"""A month's sums from the database, for the page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from worker.postgres.session import Record, Session
from worker.reports.months import Month
from worker.reports.page.summary import SEGMENTS_SHOWN_MAX, Flow, SegmentFlow


@dataclass(frozen=True, slots=True)
class Totals:
    """What the journal tells of a month, but for its single rows; the fields are those of `summary.Summary`."""

    total: Flow
    active: int
    segments: tuple[SegmentFlow, ...]
    others: SegmentFlow | None
    others_count: int
    days: tuple[tuple[date, Flow], ...]
    reasons: tuple[tuple[str, Flow], ...]

    @property
    def rows(self) -> int:
        """How many rows the file will have."""
        return self.total.entered + self.total.exited + self.total.renewed


async def totals(session: Session, month: Month) -> Totals:
    """Add the month up; in a snapshot, so that the file's rows are the same."""
    rows = await session.fetch("report_totals", month.begins, month.ends, SEGMENTS_SHOWN_MAX)

    def those(kind: str) -> Iterator[Record]:
        return (row for row in rows if row["kind"] == kind)

    (total,) = those("total")
    others = next(those("others"), None)
    return Totals(
        total=_flow(total),
        active=total["active"],
        segments=tuple(_segment(row) for row in those("segment")),
        others=None if others is None else SegmentFlow("", "", False, _flow(others), others["active"]),
        others_count=0 if others is None else others["segments"],
        days=tuple((row["day"], _flow(row)) for row in those("day")),
        reasons=tuple((row["reason"], _flow(row)) for row in those("reason")),
    )


def _flow(row: Record) -> Flow:
    return Flow(row["entered"], row["exited"], row["renewed"])


def _segment(row: Record) -> SegmentFlow:
    return SegmentFlow(row["segment"], str(row["segment_id"]), row["is_deleted"], _flow(row), row["active"])
