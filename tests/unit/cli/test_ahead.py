"""What is read beside the loop comes in order, with its end and its errors."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from worker.cli.ahead import ITEMS_AHEAD_MAX, ahead


async def test_items_come_in_order() -> None:
    assert [item async for item in ahead(iter(range(3 * ITEMS_AHEAD_MAX)))] == list(range(3 * ITEMS_AHEAD_MAX))


@pytest.mark.parametrize("error", [ValueError("no"), RuntimeError("no")])
async def test_an_error_is_raised_after_what_was_read(error: Exception) -> None:
    def items() -> Iterator[int]:
        yield 1
        raise error

    found = []
    with pytest.raises(type(error), match="no"):
        async for item in ahead(items()):
            found.append(item)  # noqa: PERF401 - kept although it ends by an error
    assert found == [1]
