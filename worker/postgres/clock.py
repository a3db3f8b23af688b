"""What time it is: the database's clock says so, for every worker.

The time that decides (what is over, when something happened, what is due) is the server's `clock_timestamp()`, read in
the transaction that uses it, after the locks that order it. A worker's clock decides nothing. Like the journal it is
only a witness: where the server's clock is ahead of both by more than a limit, and did not go on evenly while this
process watched it, it has stepped, and what would be written with it could never be taken back. Such a time is refused,
and all waits, until the clock is right again or a witness agrees.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

from worker.postgres.session import Record, Session
from worker.postgres.trust import local_time

Clock = Callable[[], datetime | None]
"""The time that statements shall take it for; None, as always but in tests: the server's own."""


def server_clock() -> None:
    """The time is the server's."""


def judged(session: Session, clock: Clock, row: Record) -> datetime:
    """The row's `now`, which is believed, or set by a test. Raises ClockStepped."""
    now: datetime = row["now"]
    if clock() is None:
        session.trust.check(now, row["journaled_at"])
    return now


async def moment(session: Session, clock: Clock) -> datetime:
    """What time it is. Raises ClockStepped."""
    return judged(session, clock, await session.row("clock", clock()))


async def told(session: Session, clock: Clock) -> datetime:
    """What time it is, believed or not: for notes on which nothing depends."""
    now: datetime = (await session.row("clock", clock()))["now"]
    return now


async def difference_seconds(session: Session) -> float:
    """How far the server's clock is ahead of this process's; an answer's way is halved."""
    before, ticks = local_time(), time.monotonic()
    now: datetime = (await session.row("clock", None))["now"]
    return (now - before).total_seconds() - (time.monotonic() - ticks) / 2


def difference_text(seconds: float) -> str:
    """What to tell about clocks that differ."""
    side = "behind" if seconds > 0 else "ahead of"
    return (
        f"this machine's clock is {abs(seconds):,.1f} s {side} PostgreSQL's, which is the one that counts: "
        "set right whichever is wrong (both should follow NTP)"
    )
