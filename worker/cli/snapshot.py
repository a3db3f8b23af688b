"""`snapshot`: asks the relay to write the state of all users who are in a segment."""

from __future__ import annotations

import asyncio

from worker.cli.console import err, out
from worker.errors import ConfigurationError
from worker.postgres.session import Database, Record, Session
from worker.settings import load

POLL_SECONDS = 0.25
TRIES_MAX = 10


async def snapshot(*, seconds_max: float | None) -> bool:
    """Ask for it, and wait until it is written if a limit is given; False where that took longer."""
    settings = load()
    if settings.state_topic == "off":
        raise ConfigurationError(
            "SEGMENTATION_STATE_TOPIC is off, so there is no topic to write states to. Set it to on, here and for the "
            "workers, and run `segmentation topics`; the first snapshot is then written by itself"
        )
    session = Database(settings).session("snapshot")
    try:
        number = await _requested(session)
        if seconds_max is None:
            out.print(f"snapshot {number}: asked for; the worker that is the relay writes it, beside its other work")
            return True
        return await _written(session, number, seconds_max)
    finally:
        await session.close()


async def _requested(session: Session) -> int:
    for _ in range(TRIES_MAX):
        for row in await session.fetch("snapshot_request"):
            return int(row["snapshot"])
    raise ConfigurationError("Others ask for snapshots all the time: one of theirs will do")


async def _written(session: Session, number: int, seconds_max: float) -> bool:
    row: Record | None = None
    try:
        async with asyncio.timeout(seconds_max):
            while True:
                (row,) = await session.fetch("snapshot_last", number)
                if row["finished_at"]:
                    out.print(f"snapshot {number}: the states of {row['users']:,} users are written")
                    return True
                newest = (await session.row("snapshot_last", None))["snapshot"]
                if newest != number:
                    out.print(f"snapshot {number}: snapshot {newest}, which was asked for after it, stands in for it")
                    number = newest
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        done = f"{row['users']:,} users so far" if row and row["began_at"] else "no worker with the topic has begun it"
        err.print(
            f"snapshot {number}: not written within {seconds_max:g} s, {done}; `segmentation jobs` says how far it is"
        )
        return False
