"""Reports on the local Drive: documents that get lost, and workers that are killed while they upload."""

from __future__ import annotations

import asyncio
import hashlib
import random
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest

from tests.integration.reports.desk import MONTH, Desk, at_work, failed, published
from tests.integration.reports.drives import inside, reports
from tests.support.drive import FOLDER, File, LocalDrive, drive_server
from tests.support.drive.faults import Request
from tests.support.line import line
from tests.support.workers import Worker, workers
from worker.reports.drive.storage import Drive
from worker.settings import Settings

NOON = datetime(2025, 3, 10, 12, tzinfo=UTC)
ROWS = 120_000
"""Some 17 MB: two chunks and a rest."""
FILL = f"""
select journal_partition_make('{MONTH.first_day}');
insert into segments (segment, segment_id, salt, created_at, updated_at)
values ('a', gen_random_uuid(), gen_random_uuid(), '{MONTH.begins}', now());
insert into journal (sequence, time, type, reason, user_id, entered, command_id)
select n - {ROWS}, '{MONTH.begins}'::timestamptz + n * interval '1 second', 'membership.changed', 'command',
    'user-' || n, array[1], md5(n::text) || md5((-n)::text) from generate_series(1, {ROWS}) n;
insert into reports (month, published_at)
select m, now() from generate_series(date '{MONTH.ends.date()}', now(), interval '1 month') m
"""


async def test_a_file_that_is_lost_becomes_a_new_one_when_asked_for(
    desk: Desk, drive: Drive, local: LocalDrive, top: File
) -> None:
    """Not before: its link changes by it. The page keeps its link."""
    await desk.journal(NOON, "u")
    async with at_work(desk.reporter(drive)):
        await desk.until(published(1))
        before = await desk.report()
        local.world.files[before["file_id"]].is_trashed = True
        await desk.request(MONTH, "again")
        await desk.until(published(2))
        assert (await desk.report())["link"] == before["link"], "what is in the trash comes back"
        del local.world.files[before["file_id"]]  # for good
        local.world.deleted.add(before["file_id"])
        await desk.request(MONTH, "lost")
        events = await desk.until(failed(1))
        assert events[2]["code"] == "document_lost"
        await desk.request(MONTH, "anew")
        await desk.until(published(3))
    after = await desk.report()
    assert after["link"] != before["link"]
    assert after["page_link"] == before["page_link"]
    assert len([file for file in inside(local, top) if file.parents != [top.id]]) == 2


@pytest.mark.parametrize(("kills", "seed"), [(4, 1), pytest.param(20, 2, marks=pytest.mark.slow)])
@pytest.mark.timeout(600)
async def test_workers_are_killed_while_they_upload(
    settings: Settings, topics: list[str], tmp_path: Path, kills: int, seed: int
) -> None:
    """Whatever request is in hand then: the end is one file and one page, whole and public."""
    chance = random.Random(seed)
    with drive_server(tmp_path) as local:
        top = reports(local)
        await _fill(settings)
        async with workers(_on_drive(settings, local, top), 2, tmp_path) as both, line(settings) as outside:
            for worker in both:
                await worker.start()
            for _ in range(kills):
                await _kill_at_a_request(local, both, chance)
            said = await outside.until(lambda said: any(one.type == "report.published" for one in said), 180)
            (report,) = [one for one in said if one.type == "report.published"]
    assert report.data["rows"] == ROWS
    files = [file for file in inside(local, top) if file.mime_type != FOLDER]
    assert sorted(file.name.rpartition(".")[2] for file in files) == ["csv", "html"]
    assert all(local.world.is_public(file) for file in files)
    (file,) = [file for file in files if file.name.endswith(".csv")]
    assert hashlib.sha256(file.content).hexdigest() == report.data["sha256"]
    assert file.content.count(b"\n") == ROWS + 1


async def _fill(settings: Settings) -> None:
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    await connection.execute(FILL)
    await connection.close()


def _on_drive(settings: Settings, local: LocalDrive, top: File) -> Settings:
    values = settings.model_dump(exclude_unset=True) | {
        "report_storage": f"drive:{top.id}",
        "google_credentials_file": str(local.credentials_file),
        "google_api_endpoint": local.endpoint,
        "report_compress_bytes_min": 64 * 1024 * 1024,
    }
    return Settings(**values)


async def _kill_at_a_request(local: LocalDrive, both: list[Worker], chance: random.Random) -> None:
    """Wait for one of the next requests; whoever sent it is killed before it has its answer, and started again."""
    loop, reached, left = asyncio.get_running_loop(), asyncio.Event(), chance.randint(1, 12)

    def before(request: Request) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            asyncio.run_coroutine_threadsafe(kill(), loop).result(60)

    async def kill() -> None:
        for worker in both:
            if "segmentation_reports_lead 1.0" in (await worker.get("/metrics"))[1]:
                await worker.kill()
                await worker.start()
        reached.set()

    local.before = before
    async with asyncio.timeout(120):
        await reached.wait()
    local.before = lambda _: None
