"""What the tests of connections share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.secured import Secured, secured


@pytest.fixture(scope="package")
async def broker() -> AsyncIterator[Secured]:
    """One secured broker for all of them."""
    async with secured() as started:
        yield started
