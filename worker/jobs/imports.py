"""Lists of users that were committed: applied chunk by chunk, each user decided as a command would, with its event.

The state of an import says what is next, and moves in the transaction of the chunk, so the next leader goes on where
this one stopped, and commands come in between.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any

from schemas.import_events import IMPORT_FAILURES
from worker.jobs.job import ChunkSize, Job
from worker.journal import rows as journal
from worker.observability import metrics
from worker.postgres import locks
from worker.postgres.clock import Clock, moment
from worker.postgres.session import Record, Session

ROWS_MIN, ROWS_MAX = 500, 20_000
KEYS_MIN, KEYS_MAX = 1_000, 500_000
"""Users' keys in one chunk of those who leave: most of them are members of other segments alone."""
CLEARED_ROWS = 20_000
KEPT = timedelta(days=30)
"""So long an import that has ended is listed, and its id is taken."""
COUNTS = (
    "received",
    "users",
    "entered",
    "exited",
    "renewed",
    "unchanged",
    "registered",
    "unknown",
    "too_many_segments",
)
SAMPLES = ("unknown_sample", "too_many_segments_sample")


class Imports(Job):
    """One import after the other, the first committed first; then the lists of those that have ended are cleared."""

    name = "imports"
    every_seconds = 0.5
    journals = True

    def __init__(self, clock: Clock, abandoned_after: timedelta, segments_of_user_max: int) -> None:
        super().__init__(clock)
        self._abandoned_after, self._segments_of_user_max = abandoned_after, segments_of_user_max
        self._size = ChunkSize(ROWS_MIN, ROWS_MAX)
        self._keys = ChunkSize(KEYS_MIN, KEYS_MAX)

    async def turn(self, session: Session) -> int | None:
        """The next users of the oldest committed import."""
        waiting = await session.fetch("imports_next")
        if waiting:
            return await self._apply(session, waiting[0])
        if await self._abandon(session):
            return 0
        gone = int((await session.row("imports_clear", CLEARED_ROWS))["gone"])
        if gone == 0:
            await session.fetch("imports_prune", await moment(session, self._clock) - KEPT)
            return None
        return 0

    async def _apply(self, session: Session, waiting: Record) -> int:
        key = waiting["import_key"]
        async with session.transaction():
            now = await locks.structure(session, self._clock)
            for row in await session.fetch("import_fail", key, now):
                await journal.append(session, [_failed(row)], now)
                return 0
            if waiting["state"] == "leaving":
                changed, is_done = await self._leave(session, key, now)
            else:
                changed, is_done = await self._decide(session, key, now, registers=waiting["registers"])
                is_done = is_done and waiting["mode"] != "replace"
            if is_done:
                for row in await session.fetch("import_end", key, now):
                    await journal.append(session, [_completed(row)], now)
        metrics.IMPORTED_MEMBERSHIPS.inc(changed)
        return changed

    async def _decide(self, session: Session, key: int, now: datetime, *, registers: bool) -> tuple[int, bool]:
        began, rows = time.monotonic(), self._size.rows
        if registers:
            entered = await session.fetch("import_register", key, rows, now)
            events = [
                journal.changed(None, row["user_id"], "user_registered", entered=row["entered"]) for row in entered
            ]
            await journal.append(session, events, now)
        row = await session.row("import_chunk", key, rows, now, self._segments_of_user_max)
        if row["decided"] == rows:
            self._size.took(time.monotonic() - began)
        return int(row["changed"]), row["decided"] < rows

    async def _leave(self, session: Session, key: int, now: datetime) -> tuple[int, bool]:
        began = time.monotonic()
        row = await session.row("import_leave_chunk", key, self._keys.rows, now)
        self._keys.took(time.monotonic() - began)
        return int(row["changed"]), bool(row["is_done"])

    async def _abandon(self, session: Session) -> bool:
        async with session.transaction():
            now = await moment(session, self._clock)
            rows = await session.fetch("imports_abandon", now - self._abandoned_after, now)
            await journal.append(session, [_failed(row) for row in rows], now)
        return bool(rows)


def _failed(row: Record) -> journal.Row:
    code = row["failure"]
    message = IMPORT_FAILURES[code].format(segment=row["segment"])
    detail = {"import": row["import"], "segment": row["segment"], "code": code, "message": message}
    return journal.import_outcome(row, "import.failed", detail)


def _completed(row: Record) -> journal.Row:
    detail: dict[str, Any] = {
        "import": row["import"],
        "segment": row["segment"],
        "segment_id": str(row["segment_id"]),
        "mode": row["mode"],
        **{name: row[name] for name in (*COUNTS, *SAMPLES)},
        "began_at": row["began_at"],
    }
    return journal.import_outcome(row, "import.completed", detail)
