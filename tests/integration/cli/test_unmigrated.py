"""What reads the database before `migrate`, or with a schema of an older version, names the remedy."""

from __future__ import annotations

from collections.abc import Coroutine
from decimal import Decimal
from typing import Any

import pytest

from tests.support.events import execute
from worker.cli import history, import_told, jobs, reports, schedule, segments
from worker.cli.why.command import why
from worker.cli.why.journal import Months
from worker.errors import WorkerError
from worker.settings import ENV_PREFIX, Settings


def _wanted(match: str | None = None) -> segments.Wanted:
    return segments.Wanted(None, None, match, is_deleted_too=False, sort="name", limit=1)


def _readers() -> dict[str, Coroutine[Any, Any, Any]]:
    """Each command that reads PostgreSQL alone."""
    return {
        "segments": segments.segments(_wanted(), as_json=True),
        "segment": segments.segment("beta", as_json=True),
        "members": segments.members("beta", None, None, "json"),
        "imports": import_told.listing(as_json=True),
        "schedule": schedule.listing(None, None, 1, as_json=True),
        "unschedule": schedule.unschedule("1", None, 1),
        "why": why("ada", "beta", limit=1, months=Months(), as_json=True),
        "history": history.history("ada", limit=1, before=None, months=Months(), as_json=True),
        "jobs": jobs.jobs(as_json=True),
        "preview": jobs.preview(Decimal(1), None),
        "reports": reports.listing(as_json=True),
    }


@pytest.fixture
def _env(empty: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}ENV_FILE", "")
    monkeypatch.setenv(f"{ENV_PREFIX}DATABASE_URL", empty.database_url.get_secret_value())


@pytest.mark.usefixtures("_env")
async def test_without_a_schema(empty: Settings) -> None:
    for name, reading in _readers().items():
        with pytest.raises(WorkerError) as raised:
            await reading
        assert "does not exist: the schema is missing or older" in str(raised.value), name
        assert "run `segmentation migrate`" in str(raised.value), name


@pytest.mark.usefixtures("_env")
async def test_with_a_schema_that_lacks_a_column(empty: Settings) -> None:
    await execute(empty, "create view segments_counted as select 1 as segment_key")
    with pytest.raises(WorkerError, match=r'column "segment" does not exist: the schema .* `segmentation migrate`'):
        await segments.segments(_wanted(), as_json=True)
