"""What else can befall a report: slow uploads, a database that fails, clocks, upgrades, months that were dropped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.integration.reports.desk import MONTH, Desk, at_work, failed, published
from tests.integration.reports.test_reporter import NOON, PERMANENT, Failing
from worker.errors import ConfigurationError, Unavailable
from worker.journal.rows import append, changed
from worker.observability import metrics
from worker.postgres.connect import SESSION_SETTINGS
from worker.postgres.session import DriverError, Session
from worker.reports.directory import Directory
from worker.reports.failures import MESSAGE_CHARACTERS_MAX, ReportError
from worker.reports.ledger import DOUBLINGS_MAX
from worker.reports.months import Month
from worker.reports.storage import Document, StorageError
from worker.reports.totals import Totals, totals

NEXT = Month(2025, 4)


class Patient(Directory):
    """Lets the server's limit for idle transactions go by before and after it reads."""

    async def put(self, document: Document, content: AsyncIterator[bytes]) -> str:
        await asyncio.sleep(IDLE_SECONDS)
        link = await super().put(document, content)
        await asyncio.sleep(IDLE_SECONDS)
        return link


IDLE_SECONDS = 1.5


async def test_an_upload_may_take_longer_than_a_transaction(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SESSION_SETTINGS, "idle_in_transaction_session_timeout", "1s")
    key = await desk.segment("a")
    await desk.journal(NOON, "u", entered=[key])
    async with at_work(desk.reporter(Patient(str(desk.folder)))):
        await desk.until(published(1))
    assert (await desk.report())["attempts"] == 1


async def test_a_database_that_fails_is_a_failure_like_others(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told, waits, and holds up no other month."""
    await desk.journal(datetime(2025, 2, 10, tzinfo=UTC), "u")

    async def failing(session: Session, month: Month) -> Totals:
        if month == Month(2025, 2):
            raise Unavailable("no space left on the device")
        return await totals(session, month)

    monkeypatch.setattr("worker.reports.rows.totals", failing)
    async with at_work(desk.reporter()):
        events = await desk.until(published(1))
    assert [(event["month"], event.get("code")) for event in events] == [(2, "database_unavailable"), (3, None)]
    assert "no space left" not in events[0]["message"], "it may hold addresses"
    assert (await desk.report(Month(2025, 2)))["retry_at"] is not None


@pytest.mark.parametrize("error", [ConfigurationError("no right at h:5432"), DriverError("no right at h:5432")])
async def test_what_the_database_refuses_is_tried_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """A right that is missing, a table that another program has changed: said, and no end of the worker."""
    await desk.journal(NOON, "u")
    refusals = [error]

    async def refused(session: Session, month: Month) -> Totals:
        if refusals:
            raise refusals.pop()
        return await totals(session, month)

    monkeypatch.setattr("worker.reports.rows.totals", refused)
    async with at_work(desk.reporter()) as (task,):
        (failure,) = await desk.until(failed(1))
        desk.now += timedelta(minutes=5)
        await desk.until(published(1))
        assert not task.done()
    assert failure["code"] == "failed"
    assert "h:5432" not in failure["message"]


async def test_a_failure_that_can_not_even_be_noted_ends_nothing(desk: Desk) -> None:
    await desk.journal(NOON, "u")
    await desk.sql.execute("alter table report_attempts rename to elsewhere")
    reporter = desk.reporter()
    async with at_work(reporter) as (task,):
        before = metrics.RETRIES.labels("reports")._value.get()
        async with asyncio.timeout(30):
            while metrics.RETRIES.labels("reports")._value.get() == before:
                await asyncio.sleep(0.02)
        await desk.sql.execute("alter table elsewhere rename to report_attempts")
        await desk.until(published(1))
        assert not task.done()


async def test_what_settings_hold_stays_out_of_events(desk: Desk) -> None:
    """Whatever a message should say one day."""
    secret = "/run/secrets/the-key.json"
    desk.settings = desk.settings.model_copy(update={"google_credentials_file": secret})
    url = desk.settings.database_url.get_secret_value()
    await desk.journal(NOON, "u")
    error = StorageError("refused", f"can't use {secret} with {url}", is_permanent=True, detail=secret)
    async with at_work(desk.reporter(Failing(str(desk.folder), error))):
        (event,) = await desk.until(failed(1))
    expected = "can't use SEGMENTATION_GOOGLE_CREDENTIALS_FILE with SEGMENTATION_DATABASE_URL"
    row = await desk.report()
    attempt = await desk.sql.fetchval("select error from report_attempts")
    job = await desk.sql.fetchval("select error from job_runs where job = 'reports'")
    assert [event["message"], row["error"], attempt, job] == [expected] * 4


async def test_ever_so_many_failures_end_nothing(desk: Desk) -> None:
    await desk.journal(NOON, "u")
    passing = StorageError("drive_unavailable", "later", is_permanent=False)
    storage = Failing(str(desk.folder), passing)
    await desk.sql.execute(
        "insert into reports (month, failures, storage) values ($1, 100000, $2)", MONTH.first_day, storage.name
    )
    async with at_work(desk.reporter(storage)):
        await desk.until(failed(1))
    row = await desk.report()
    assert row["failures"] == 100_001 > DOUBLINGS_MAX
    assert row["retry_at"] - desk.now <= timedelta(hours=1)


async def test_a_month_that_ends_while_it_is_reported_is_partial(desk: Desk) -> None:
    """It was not closed before; so it is made again, and what came late is in it."""
    key = await desk.segment("a", NEXT.begins)
    await desk.journal(datetime(2025, 4, 1, tzinfo=UTC), "u", entered=[key])
    await desk.session.fetch("report_begin", MONTH.first_day, desk.now, "s")
    await desk.sql.execute("update reports set published_at = now()")
    desk.now = NEXT.ends - timedelta(seconds=1)

    class Slow(Directory):
        async def reserve(self, count: int) -> list[str]:
            desk.now = NEXT.ends + timedelta(seconds=1)
            return list(await super().reserve(count))

        async def put(self, document: Document, content: AsyncIterator[bytes]) -> str:
            link = await super().put(document, content)
            async with desk.session.transaction():
                late = NEXT.ends - timedelta(milliseconds=1)
                row = changed(None, f"late {document.name}", "rollout", entered=[key])
                await append(desk.session, [row], late)
            return link

    await desk.request(NEXT, "k")
    async with at_work(desk.reporter(Slow(str(desk.folder)))):
        events = await desk.until(published(2))
    assert [(event["cause"], event["rows"]) for event in events] == [("k", 1), (None, 3)]


async def test_a_report_is_never_replaced_by_nothing(desk: Desk) -> None:
    """The journal was dropped while a request waited: the answer is a failure, and the report stays published."""
    await desk.journal(NOON, "u")
    async with at_work(desk.reporter()):
        await desk.until(published(1))
    before = await desk.report()
    await desk.request(MONTH, "late")
    await desk.sql.execute("update reports set journal_dropped_at = now()")
    async with at_work(desk.reporter()):
        events = await desk.until(failed(1))
    after = await desk.report()
    assert (events[1]["cause"], events[1]["code"]) == ("late", "journal_dropped")
    assert {name: after[name] for name in ("link", "rows", "published_at", "error_code", "is_permanent")} == {
        name: before[name] for name in ("link", "rows", "published_at", "error_code", "is_permanent")
    }
    assert await desk.sql.fetchval("select count(*) from report_requests") == 0


async def test_requests_do_not_starve_what_is_due(desk: Desk) -> None:
    await desk.journal(NOON, "u")
    desk.now = datetime(2025, 4, 20, tzinfo=UTC)
    await desk.request(NEXT, "k")
    async with at_work(desk.reporter()):
        events = await desk.until(published(2))
    assert [event["month"] for event in events] == [3, 4]


async def test_an_attempt_that_is_cut_off_after_a_change_of_storage_is_made_again(desk: Desk) -> None:
    await desk.journal(NOON, "u")
    async with at_work(desk.reporter(Failing(str(desk.folder), PERMANENT))):
        await desk.until(failed(1))
    other = Directory(str(desk.folder / "other"))
    await desk.session.fetch("report_begin", MONTH.first_day, desk.now, other.name)
    async with at_work(desk.reporter(other)):
        await desk.until(published(1))


async def test_back_in_an_old_storage_the_old_document_is_used(desk: Desk) -> None:
    await desk.journal(NOON, "u")
    ids: list[str] = []
    for folder in ("one", "two", "one"):
        await desk.request(MONTH, folder)
        async with at_work(desk.reporter(Directory(str(desk.folder / folder)))):
            await desk.until(published(len(ids) + 1))
        ids.append((await desk.report())["file_id"])
    assert ids[0] == ids[2] != ids[1]


async def test_any_text_can_be_a_message(desk: Desk) -> None:
    await desk.journal(NOON, "u")
    error = StorageError("refused", "a\0b \udcff " + "x" * 5_000, is_permanent=True)
    assert len(error.message) == MESSAGE_CHARACTERS_MAX
    async with at_work(desk.reporter(Failing(str(desk.folder), error))):
        (event,) = await desk.until(failed(1))
    assert event["message"] == error.message


def test_a_failure_is_told_as_it_is() -> None:
    assert str(ReportError("failed", "what is wrong – and how to mend it", is_permanent=True)).endswith(
        "how to mend it"
    )
