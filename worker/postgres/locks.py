"""Every lock that a transaction takes, and the order in which: whoever needs two takes them in this order.

1. Positions: rows of `positions`, by topic and partition (`positions_acquire`, `positions_claim`).
2. Structure: an advisory lock of the transaction. Shared by what only joins users and segments, exclusive for what
   creates or ends them. It stands in for foreign keys. The time of a transaction's decisions is read under it.
3. Commands that take effect later: rows of `schedule`, in the order in which they will be decided; then users and
   segments: their rows, by id and by name.
4. Memberships: their rows, by (user_key, segment_key). Expiry skips those that another transaction has.
5. Counter: the one row of `journal_head` (`journal_numbers`), last, held until the commit.

Within a batch, 3 and 4 come again for each round of its commands; where two batches then wait for each other the server
ends one of them, which is tried again. Outside of this order, and never within such a transaction: the lock of all
migrations, and the locks that leaders hold as long as their session lives.

PostgreSQL keeps advisory locks for a database, not for a schema, so the keys hold the schema (`lock_space`), and
deployments in several schemas of one database do not see each other's. Migrations are the exception, since the function
comes with one of them: two deployments that migrate at once wait for each other.
"""

from __future__ import annotations

from datetime import datetime
from enum import IntEnum

from worker.postgres.clock import Clock, judged
from worker.postgres.session import Record, Session

MIGRATION = 7_361_001
STRUCTURE = 7_361_002


class Role(IntEnum):
    """What one process does for all; each has a lock that its leader's session holds."""

    RELAY = 1
    JOBS = 2
    REPORTS = 3


async def structure(session: Session, clock: Clock, *, is_exclusive: bool = False) -> datetime:
    """Take the structure lock until the commit; returns the time, read under it. Raises ClockStepped."""
    return judged(session, clock, await _structure(session, clock(), is_exclusive=is_exclusive))


async def _structure(session: Session, at: datetime | None, *, is_exclusive: bool) -> Record:
    return await session.row("lock_exclusive" if is_exclusive else "lock_shared", STRUCTURE, at)


async def lead(session: Session, role: Role) -> bool:
    """Try to take the role's lock, for as long as the session lives; returns whether it has it now."""
    return bool((await session.row("election_try", role))["leads"])


async def leader(session: Session, role: Role) -> str | None:
    """Who holds the role's lock, in words for the log; None: nobody."""
    for row in await session.fetch("election_holder", role):
        return f"backend {row['pid']} ({row['application_name'] or 'without a name'}, user {row['user_name']})"
    return None
