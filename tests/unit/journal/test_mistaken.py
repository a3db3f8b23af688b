"""Rows of the journal that the worker fails at: those before are made, and errors of the servers are not theirs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from structlog.testing import capture_logs

from worker.errors import Refused, Unavailable
from worker.journal.mistaken import REASON_CHARACTERS_MAX, as_many

ROWS: list[Any] = [{"sequence": number} for number in range(11, 19)]


class Making:
    """Makes rows' numbers of rows, but for one, at which it raises."""

    def __init__(self, bad: int, error: BaseException) -> None:
        self._bad, self._error = bad, error
        self.tries = 0

    async def __call__(self, rows: Sequence[Any]) -> list[int]:
        self.tries += 1
        numbers = [row["sequence"] for row in rows]
        if self._bad in numbers:
            raise self._error
        return numbers


@pytest.mark.parametrize("bad", [12, 13, 18])
async def test_what_comes_before_is_made(bad: int) -> None:
    """Try by try, until the row stands first; nothing of it is logged before that."""
    rows, made = ROWS, list[int]()
    with capture_logs() as logs:
        while rows[0]["sequence"] < bad:
            some = await as_many(rows, Making(bad, KeyError("year")))
            made += some
            rows = rows[len(some) :]
    assert made == list(range(11, bad))
    assert not logs


async def test_the_row_is_named_and_its_traceback_logged_once() -> None:
    with capture_logs() as logs, pytest.raises(Unavailable) as caught:
        await as_many(ROWS, Making(11, KeyError("year" * 1_000)))
    said = str(caught.value)
    assert "row 11 can't be made an event" in said
    assert "KeyError: 'yearyear" in said
    assert "`segmentation reset relay --to 11`" in said
    assert len(said) < REASON_CHARACTERS_MAX + 500
    (one,) = logs
    assert one["exc_info"]
    assert "row 11" in one["event"]


async def test_what_the_database_refuses_of_the_data_is_the_rows() -> None:
    with pytest.raises(Unavailable, match=r"row 11 .*: numeric field overflow"):
        await as_many(ROWS, Making(11, Refused("numeric field overflow")))


@pytest.mark.parametrize("error", [Unavailable("away"), asyncio.CancelledError(), MemoryError()])
async def test_what_is_of_the_state_is_raised_at_once(error: BaseException) -> None:
    making = Making(11, error)
    with pytest.raises(type(error)):
        await as_many(ROWS, making)
    assert making.tries == 1
