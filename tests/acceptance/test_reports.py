"""Reports as a person asks for them: made, listed, and checked before they are due."""

from __future__ import annotations

import json
import signal
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.acceptance.shell import Shell
from tests.support.workers import workers
from worker.settings import Settings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "reports"


@pytest.fixture
def filed(settings: Settings, folder: Path) -> Settings:
    """A deployment that keeps its reports in a folder of the test's own."""
    values = settings.model_dump(exclude_unset=True)
    return Settings(**(values | {"report_storage": f"directory:{folder}"}))


async def test_a_report_is_made_and_listed(filed: Settings, topics: list[str], folder: Path, tmp_path: Path) -> None:
    shell, month = Shell.of(filed), datetime.now(UTC).strftime("%Y-%m")
    assert "no report was made" in await shell.good("reports")
    async with workers(filed, 1, tmp_path) as (worker,):
        await worker.start()
        await worker.ready()
        await shell.good("send", "segment.create", '{"segment": "beta", "percent": 100}', "--wait")
        await shell.good("send", "user.register", '{"user_id": "ada"}', "--wait")
        done = await shell.run("report", month)
        assert done.code == 0, done
        link, page = done.out.splitlines()
        assert page == link.removesuffix(".csv") + ".html"
        assert link == (folder / month[:4] / f"{filed.topic_prefix}-{month}.csv").as_uri()
        told = json.loads((await shell.run("report", month, "--json")).out)
        assert (told["link"], told["page_link"], told["rows"]) == (link, page, 1)
        listed = await shell.good("reports")
        assert all(part in listed for part in (month, "partial", link, f"{filed.topic_prefix}-{month}.html"))
        (row,) = map(json.loads, (await shell.good("reports", "--json")).splitlines())
        assert (row["state"], row["rows"], row["attempts"]) == ("partial", 1, 2)
        assert (row["year"], row["month"]) == (told["year"], told["month"])
        assert row["made_at"].endswith("Z"), "as in events"
        said = await shell.bad("report", "2999-01")
        assert "month_not_begun" in said
        assert "before_journal" in await shell.bad("report", "1970-01")
        assert "reports" in await shell.good("jobs")


async def test_without_a_worker_it_says_what_becomes_of_it(filed: Settings, topics: list[str]) -> None:
    said = await Shell.of(filed).bad("report", "2026-01", "--timeout", "1")
    assert "no report within 1 s" in said
    assert "segmentation reports" in said


@pytest.mark.parametrize("month", ["2026-13", "2026", "26-01", "1969-12", "2026-1", "٢٠٢٦-٠١"])
async def test_what_is_no_month_is_said(month: str) -> None:
    done = await Shell().run("report", month)
    assert done.code == 2
    assert "must be YYYY-MM" in done.err


async def test_the_doctor_finds_all_well(filed: Settings, topics: list[str]) -> None:
    said = await Shell.of(filed).good("doctor")
    assert {line[0] for line in said.splitlines()} == {"✓"}
    looked_at = {line.split()[1] for line in said.splitlines()}
    assert looked_at >= {"PostgreSQL", "schema", "clocks", "topics", "keys", "deployment"}


async def test_the_doctor_finds_what_is_wrong(filed: Settings, tmp_path: Path) -> None:
    """All of it, not the first thing alone; and nothing is noted or created by looking."""
    (tmp_path / "file").write_text("no folder")
    shell = Shell.of(filed).having(SEGMENTATION_REPORT_STORAGE=f"directory:{tmp_path}/file/x")
    done = await shell.run("doctor")
    assert done.code == 1
    wrong = [line for line in done.out.splitlines() if line.startswith("✗")]
    assert any("run `segmentation topics`" in line for line in wrong)
    assert any("SEGMENTATION_REPORT_STORAGE" in line for line in wrong)
    assert "✓ schema" in done.out
    assert "the first worker will note it" in done.out


async def test_a_worker_says_at_its_start_that_reports_will_fail(
    filed: Settings, topics: list[str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    async with workers(filed, 1, tmp_path) as (worker,):
        await worker.start(SEGMENTATION_REPORT_STORAGE=f"directory:{tmp_path}/file", SEGMENTATION_LOG_LEVEL="info")
        await worker.ready()
        while "reports can't be stored as things are" not in worker.log():
            assert worker.running
            await worker.get("/readyz")
        worker.signal(signal.SIGTERM)
        assert await worker.ended() == 0
