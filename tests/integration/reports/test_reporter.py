"""When reports are made, how often, and what becomes of failures, crashes and rivals."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import isodate

from tests.integration.reports.desk import MONTH, Desk, at_work, failed, published
from worker.jobs.retention import Retention
from worker.journal.rows import append, changed
from worker.reports.directory import Directory
from worker.reports.months import Month
from worker.reports.storage import Document, StorageError

NOON = datetime(2025, 3, 10, 12, tzinfo=UTC)
NEXT = Month(2025, 4)


class Failing(Directory):
    """Raises what it is told to, a call at a time; `None` lets it through."""

    def __init__(self, path: str, *errors: StorageError | None) -> None:
        super().__init__(path)
        self.errors = list(errors)
        self.ids: list[str] = []

    async def put(self, document: Document, content: AsyncIterator[bytes]) -> str:
        self.ids.append(document.document_id)
        error = self.errors.pop(0) if self.errors else None
        if error:
            raise error
        return await super().put(document, content)


class Slow(Directory):
    """Waits with the file half read until it may go on."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.reached, self.may_go_on = asyncio.Event(), asyncio.Event()

    async def put(self, document: Document, content: AsyncIterator[bytes]) -> str:
        async def slowly() -> AsyncIterator[bytes]:
            async for piece in content:
                yield piece[: len(piece) // 2]
                self.reached.set()
                await self.may_go_on.wait()
                yield piece[len(piece) // 2 :]

        return await super().put(document, slowly())


PASSING = StorageError("drive_unavailable", "later", is_permanent=False)
PERMANENT = StorageError("storage_quota", "never", is_permanent=True)


async def test_finished_months_are_caught_up_oldest_first(desk: Desk) -> None:
    """Also one in which nothing happened; the running one waits for its end."""
    key = await desk.segment("a")
    await desk.journal(datetime(2025, 1, 31, tzinfo=UTC), "u", entered=[key])
    await desk.journal(datetime(2025, 3, 31, tzinfo=UTC), "v", entered=[key])
    await desk.journal(datetime(2025, 4, 1, tzinfo=UTC), "w", entered=[key])
    async with at_work(desk.reporter()):
        events = await desk.until(published(3))
        assert [(event["month"], event["rows"], event["cause"]) for event in events] == [
            (1, 1, None),
            (2, 0, None),
            (3, 1, None),
        ]
        desk.now = datetime(2025, 5, 1, tzinfo=UTC)
        events = await desk.until(published(4))
    assert (events[3]["month"], events[3]["rows"]) == (4, 1)
    prefix = desk.settings.topic_prefix
    assert desk.files() == [f"2025/{prefix}-2025-0{n}.{kind}" for n in range(1, 5) for kind in ("csv", "html")]


async def test_day_and_hour_are_settings(desk: Desk) -> None:
    desk.settings = desk.settings.model_copy(update={"report_day": 3, "report_hour": 6})
    await desk.journal(NOON, "u")
    desk.now = datetime(2025, 4, 3, 5, 59, 59, tzinfo=UTC)
    reporter = desk.reporter()
    delay = reporter._delay
    assert await desk.session.fetch("report_next", desk.now, delay, "s") == []
    assert (await desk.session.row("report_overdue", desk.now, delay))["overdue"] == 0
    desk.now += timedelta(seconds=1)
    assert [row["month"] for row in await desk.session.fetch("report_next", desk.now, delay, "s")] == [MONTH.first_day]
    assert (await desk.session.row("report_overdue", desk.now, delay))["overdue"] == 1


async def test_any_number_of_workers_makes_it_once(desk: Desk) -> None:
    await desk.journal(NOON, "u")
    async with at_work(*(desk.reporter() for _ in range(3))):
        await desk.until(published(1))
        await asyncio.sleep(1.5)
        assert (await desk.report())["attempts"] == 1
    assert len(await desk.events()) == 1


async def test_everyone_who_asked_is_answered(desk: Desk) -> None:
    """With one report, of the running month too, which is then partial and made again at its end."""
    key = await desk.segment("a")
    await desk.journal(datetime(2025, 4, 1, tzinfo=UTC), "u", entered=[key])
    await desk.request(NEXT, "one")
    await desk.request(NEXT, "two")
    async with at_work(desk.reporter()):
        events = await desk.until(published(2))
        assert sorted(event["cause"] for event in events) == ["one", "two"]
        assert len({event["sha256"] for event in events}) == 1
        row = await desk.report(NEXT)
        assert (row["attempts"], row["is_partial"], row["published_at"]) == (1, True, None)
        assert await desk.sql.fetchval("select count(*) from report_requests") == 0
        desk.now = datetime(2025, 5, 1, tzinfo=UTC)
        events = await desk.until(published(3))
    again = await desk.report(NEXT)
    assert (events[2]["cause"], again["is_partial"], again["published_at"]) == (None, False, desk.now)
    assert (again["file_id"], again["link"]) == (row["file_id"], row["link"])


async def test_a_passing_failure_is_tried_again_and_told_once(desk: Desk) -> None:
    await desk.journal(NOON, "u")
    storage = Failing(str(desk.folder), PASSING, PASSING, PASSING, None)

    async with at_work(desk.reporter(storage)):
        while not published(1)(events := await desk.events()):
            desk.now += timedelta(seconds=1)
            await asyncio.sleep(0.05)
    assert [(event["type"], event.get("code")) for event in events] == [
        ("report.failed", "drive_unavailable"),
        ("report.published", None),
    ]
    assert len(set(storage.ids)) == 2, "the file's and the page's: the same in each attempt"
    rows = await desk.sql.fetch("select attempt, outcome, error_code from report_attempts order by attempt")
    assert [tuple(row) for row in rows] == [
        (1, "failed", "drive_unavailable"),
        (2, "failed", "drive_unavailable"),
        (3, "failed", "drive_unavailable"),
        (4, "published", None),
    ]
    row = await desk.report()
    assert (row["failures"], row["error_code"], row["error"], row["retry_at"]) == (0, None, None, None)


async def test_retries_wait_longer_each_time(desk: Desk) -> None:
    await desk.journal(NOON, "u")
    waits = []
    reporter = desk.reporter(Failing(str(desk.folder), *[PASSING] * 20))
    async with at_work(reporter):
        for number in range(1, 7):
            while (row := await desk.report()).get("failures", 0) < number:
                await asyncio.sleep(0.02)
            waits.append(row["retry_at"] - desk.now)
            desk.now = row["retry_at"]
    assert all(after > before for before, after in pairwise(waits)), waits


async def test_a_permanent_failure_waits_for_a_person(desk: Desk) -> None:
    await desk.journal(NOON, "u")
    storage = Failing(str(desk.folder), PERMANENT, PERMANENT)
    async with at_work(desk.reporter(storage)):
        await desk.until(failed(1))
        desk.now += timedelta(days=20)
        await asyncio.sleep(1.5)
        assert (await desk.report())["attempts"] == 1
        await desk.request(MONTH, "k")
        events = await desk.until(failed(2))
        assert (events[1]["cause"], events[1]["code"]) == ("k", "storage_quota")
        assert await desk.sql.fetchval("select count(*) from report_requests") == 0
        await desk.request(MONTH, "l")
        events = await desk.until(published(1))
        assert events[2]["cause"] == "l"


async def test_another_storage_is_tried_at_once(desk: Desk) -> None:
    await desk.journal(NOON, "u")
    async with at_work(desk.reporter(Failing(str(desk.folder), PERMANENT))):
        await desk.until(failed(1))
    before = await desk.report()
    async with at_work(desk.reporter(Directory(str(desk.folder / "other")))):
        await desk.until(published(1))
    after = await desk.report()
    assert after["storage"] != before["storage"]
    assert after["file_id"] != before["file_id"], "an id belongs to its storage"


async def test_what_failed_for_good_before_the_months_end_is_tried_at_its_end(desk: Desk) -> None:
    await desk.journal(datetime(2025, 4, 1, tzinfo=UTC), "u")
    await desk.request(NEXT, "k")
    async with at_work(desk.reporter(Failing(str(desk.folder), PERMANENT))):
        await desk.until(failed(1))
        desk.now = datetime(2025, 5, 1, tzinfo=UTC)
        await desk.until(published(1))


async def test_one_month_that_fails_holds_up_no_other(desk: Desk) -> None:
    await desk.journal(datetime(2025, 2, 10, tzinfo=UTC), "u")
    async with at_work(desk.reporter(Failing(str(desk.folder), PERMANENT))):
        events = await desk.until(published(1))
    assert [(event["type"], event["month"]) for event in events] == [("report.failed", 2), ("report.published", 3)]


async def test_killed_in_the_midst_it_begins_anew(desk: Desk) -> None:
    """Half a file is never seen; nothing of it is left; the ids stay."""
    key = await desk.segment("a")
    await desk.journal(NOON, "u", entered=[key])
    slow = Slow(str(desk.folder))
    async with at_work(desk.reporter(slow)):
        await slow.reached.wait()
        assert [name for name in desk.files() if not name.endswith(".unfinished")] == []
        before = await desk.report()
        rest = next(desk.folder.rglob("*.unfinished"))
        killed = rest.with_name(rest.name.replace(rest.name.split(".")[-2], "killed"))
        killed.write_bytes(rest.read_bytes())  # as a process leaves it that is killed now
        await desk.sql.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where application_name = 'segmentation reports' and datname = current_database()"
        )
        slow.may_go_on.set()
        await desk.until(published(1))
    after = await desk.report()
    assert (after["attempts"], after["file_id"]) == (2, before["file_id"])
    assert desk.files() == [f"2025/{desk.settings.topic_prefix}-2025-03.{kind}" for kind in ("csv", "html")]
    rows = await desk.sql.fetch("select outcome from report_attempts order by attempt")
    assert [row["outcome"] for row in rows] == ["interrupted", "published"]


async def test_a_worker_that_stops_leaves_it_to_the_next(desk: Desk) -> None:
    key = await desk.segment("a")
    await desk.journal(NOON, "u", entered=[key])
    slow = Slow(str(desk.folder))
    async with at_work(desk.reporter(slow)):
        await slow.reached.wait()
    assert (desk.files(), await desk.events()) == ([], [])
    async with at_work(desk.reporter()):
        await desk.until(published(1))


async def test_a_finished_month_is_closed(desk: Desk) -> None:
    """What is journaled late, by a worker whose clock is behind, belongs to the next month: the file lacks nothing."""
    key = await desk.segment("a")
    await desk.journal(NOON, "u", entered=[key])
    async with at_work(desk.reporter()):
        await desk.until(published(1))
    late = MONTH.ends - timedelta(seconds=1)
    async with desk.session.transaction():
        await append(desk.session, [changed(None, "late", "rollout", entered=[key])], late)
    assert await desk.sql.fetchval("select time from journal where user_id = 'late'") >= MONTH.ends


async def test_the_journal_goes_after_its_report_and_is_not_asked_again(desk: Desk) -> None:
    await desk.sql.execute("select journal_partition_make('2025-03-01')")
    await desk.journal(NOON, "u")
    desk.now = datetime(2025, 12, 1, tzinfo=UTC)
    retention = Retention(desk.clock, timedelta(days=7), isodate.Duration(months=2))

    async def partitions() -> list[str]:
        while await retention.turn(desk.session) is not None:
            pass
        rows = await desk.sql.fetch("select inhrelid::regclass::text as name from pg_inherits")
        return [row["name"] for row in rows]

    await desk.sql.execute("update relay set published_sequence = 10000")
    assert "journal_202503" in await partitions(), "it has no report"
    async with at_work(desk.reporter()):
        await desk.until(published(9))
    assert "journal_202503" not in await partitions()
    assert (await desk.session.row("report_months"))["dropped"][0] == MONTH.first_day
    assert await desk.session.fetch("report_next", desk.now, timedelta(), Directory(str(desk.folder)).name) == []


async def test_a_folder_that_can_not_be_written_is_said(desk: Desk) -> None:
    desk.folder.parent.joinpath("file").write_text("no folder")
    storage = Directory(str(desk.folder.parent / "file"))
    for with_trial in (False, True):
        (finding,) = await storage.check(with_trial=with_trial)
        assert not finding.is_good
        assert "SEGMENTATION_REPORT_STORAGE" in finding.message
    await desk.journal(NOON, "u")
    async with at_work(desk.reporter(storage)):
        (event,) = await desk.until(failed(1))
    assert event["code"] == "directory_not_writable"
    assert "SEGMENTATION_REPORT_STORAGE" in event["message"]
    assert str(desk.folder.parent) not in event["message"]
