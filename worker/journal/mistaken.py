"""A row of the journal that this version can't make an event, by a mistake of its own: only what comes after it waits.

The relay tries it again after its pauses, so a version that has no such mistake goes on by itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from worker.errors import Refused, Unavailable
from worker.observability.mistakes import contained, is_foreseen
from worker.postgres.session import DriverError, Record

T = TypeVar("T")

REASON_CHARACTERS_MAX = 500
"""Of what an exception says, which may quote the row; the log has all of it."""


async def as_many(rows: Sequence[Record], make: Callable[[Sequence[Record]], Awaitable[T]]) -> T:
    """What `make` makes of the rows, or where it fails at them, of the first half, the first quarter, and so on.

    Raises Unavailable where it fails at the first row alone; other errors of the database are raised as they are.
    """
    while len(rows) > 1:
        try:
            return await make(rows)
        except Exception as error:
            if is_foreseen(error, DriverError) and not isinstance(error, Refused):
                raise
            rows = rows[: len(rows) // 2]
    number = rows[0]["sequence"]
    try:
        with contained(f"the journal's row {number} can't be published", DriverError):
            return await make(rows)
    except Refused as error:
        raise Unavailable(
            f"The journal's row {number} can't be made an event, by a mistake of this version of the worker: "
            f"{str(error)[:REASON_CHARACTERS_MAX]}. Commands are decided on, but nothing after row {number - 1} is "
            "published. Upgrade the worker, and it goes on by itself; or leave the row out, which then is never "
            f"published: stop all workers, and run `segmentation reset relay --to {number}`"
        ) from error
