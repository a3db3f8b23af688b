"""What the journal holds about one user, read backwards.

The journal has no index by user, as that would cost every change a fourth to a third more WAL. So its months are read
from end to end, the newest first, a statement each: a page that is full needs no older months, and no lock on the
partitions, nor a snapshot that vacuum must spare, is held for longer than a month takes.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from worker.postgres.session import Database, Record, Session
from worker.reports.months import Month
from worker.settings import Settings

MONTH_SECONDS_MAX = 600.0
"""Longest reading of one month: none of the worker's own statements, so its limit is not theirs."""
_MONTH = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")


@dataclass(frozen=True, slots=True)
class Months:
    """From the first to the last month, both `YYYY-MM` in UTC and included; None is no bound."""

    since: str | None = None
    until: str | None = None

    @property
    def begins(self) -> datetime | None:
        """The first instant."""
        return begin(self.since) if self.since else None

    @property
    def ends(self) -> datetime | None:
        """The first instant after it."""
        return Month.of(begin(self.until)).ends if self.until else None


def begin(month: str) -> datetime:
    """The month's first instant; raises ValueError where it is none."""
    matched = _MONTH.fullmatch(month)
    if matched is None or not 1 <= int(matched[1]) < 9999:
        raise ValueError("must be a month as YYYY-MM, such as 2026-05")
    return datetime(int(matched[1]), int(matched[2]), 1, tzinfo=UTC)


@asynccontextmanager
async def patient(settings: Settings, name: str) -> AsyncIterator[Session]:
    """A session whose statements may take as long as a month does."""
    session = Database(settings).session(name, statement_seconds_max=MONTH_SECONDS_MAX)
    try:
        yield session
    finally:
        await session.close()


async def changes(
    session: Session, user_id: str, segment_keys: Sequence[int], *, before: int, count: int, months: Months
) -> list[Record]:
    """The newest rows before that sequence which name one of the segments, or forget the user; newest first."""
    return await _read(session, user_id, before, count, months, list(segment_keys), None)


async def everything(
    session: Session, user_id: str, topic: str, *, before: int, count: int, months: Months
) -> list[Record]:
    """The newest rows about the user, also rejections of records on that topic with the user's id as key."""
    return await _read(session, user_id, before, count, months, None, topic)


async def _read(
    session: Session,
    user_id: str,
    before: int,
    count: int,
    months: Months,
    segment_keys: list[int] | None,
    topic: str | None,
) -> list[Record]:
    rows: list[Record] = []
    for month in await session.fetch("journal_months", months.begins, months.ends):
        rows += await session.fetch(
            "journal_of_user",
            user_id,
            month["begins"],
            month["ends"],
            before,
            count - len(rows),
            segment_keys,
            topic,
        )
        if len(rows) >= count:
            break
    return rows
