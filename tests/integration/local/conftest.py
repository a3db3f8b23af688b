"""What the tests of the embedded services share."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from worker.local.guarded import Guarded, guarded


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that other users can pass, unlike pytest's own: PostgreSQL runs as one of them where we are root."""
    path = Path(tempfile.mkdtemp(prefix="segmentation-test-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
async def guard() -> AsyncIterator[Guarded]:
    """A guard of the test's own."""
    async with guarded() as started:
        yield started
