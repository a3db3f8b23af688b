"""report.request: months are queued for the reporter; a month that can't be reported is answered at once."""

from __future__ import annotations

from datetime import UTC, date, datetime

from schemas.commands import ReportRequest
from schemas.failures import RequestFailure, journal_dropped
from worker.journal import rows as journal
from worker.line.batch import ReceivedCommand
from worker.line.handlers.context import Context


async def request_reports(context: Context, records: list[ReceivedCommand[ReportRequest]]) -> None:
    """Queue the months that the journal covers."""
    known = await context.session.row("report_months")
    this_month = context.now.astimezone(UTC).date().replace(day=1)
    begins = month_of(known["begins"]) if known["begins"] else this_month
    queued: list[tuple[date, str, str, str | None, str | None]] = []
    for record in records:
        command, data = record.what, record.what.data
        month = date(data.year, data.month, 1)
        failure = _failure(month, begins, this_month, known["dropped"])
        if failure is None:
            queued.append((month, command.id, command.source, command.correlationid, command.traceparent))
            context.count(record, "applied")
        else:
            code, message = failure
            detail = {"year": data.year, "month": data.month, "code": code, "message": message}
            context.rows.append(journal.report_event(command, "report.failed", detail))
            context.count(record, code)
    if queued:
        await context.session.fetch("report_request", *zip(*queued, strict=True), context.now)


def month_of(time: datetime) -> date:
    """The first day of the month (UTC) in which the time lies."""
    return time.astimezone(UTC).date().replace(day=1)


def _failure(month: date, begins: date, this_month: date, dropped: list[date]) -> tuple[RequestFailure, str] | None:
    """Why there can be no report of the month: code and message; None if there can."""
    if month > this_month:
        return "month_not_begun", f"{month:%Y-%m} has not begun; ask again when it has."
    if month in dropped:
        return "journal_dropped", journal_dropped(f"{month:%Y-%m}")
    if month < begins:
        return "before_journal", f"The journal begins in {begins:%Y-%m}; it tells nothing of {month:%Y-%m}."
    return None
