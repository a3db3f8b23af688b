"""One edition of a month's report: the file of all rows and the page that sums them up, made and stored."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime

from worker.database import Session
from worker.reports.months import Month
from worker.reports.rendering import page
from worker.reports.rows import RowStream
from worker.reports.storage import Document, Storage, StorageError
from worker.reports.summary import Summary
from worker.reports.totals import Totals, totals
from worker.settings import Settings


@dataclass(frozen=True, slots=True)
class Edition:
    """A report that was stored."""

    made_at: datetime
    is_partial: bool
    link: str
    page_link: str
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Places:
    """The ids of a month's two documents in its storage."""

    file_id: str
    page_id: str


class EditionMaker:
    """Makes one edition, over a session of its own. `rows` of `rows_total` tell how far it is."""

    def __init__(
        self, settings: Settings, session: Session, storage: Storage, month: Month, clock: Callable[[], datetime]
    ) -> None:
        self._settings, self._session, self._storage = settings, session, storage
        self._month, self._clock = month, clock
        self._stream: RowStream | None = None
        self.rows_total: int | None = None

    @property
    def rows(self) -> int:
        """About how many rows are written."""
        return max(0, self._stream.lines - 1) if self._stream else 0

    async def make(self, places: Places) -> Edition:
        """Write both documents; the file first, since the page links to it. Raises StorageError and Unavailable."""
        made_at = self._clock()
        month = self._month
        async with self._session.transaction(is_snapshot=True):
            summed = await totals(self._session, month)
            self.rows_total = summed.rows
            await self._session.fetch("report_plan")
            self._stream = RowStream(
                self._session, month, self._settings.report_separator, self._settings.report_compress_bytes_min
            )
            async with self._stream as stream:
                file = self._file(places.file_id, is_compressed=stream.is_compressed)
                link = await self._storage.put(file, stream.content())
        if stream.rows != summed.rows:
            raise StorageError(
                "inconsistent",
                f"The file of {month} has {stream.rows} rows, but the sums tell of {summed.rows}: a bug, or the "
                "tables were changed by hand",
                is_permanent=True,
                link=link,
            )
        summary = self._summary(summed, made_at, file.name, link, stream)
        page_link = await self._put_page(places.page_id, summary)
        return Edition(made_at, summary.is_partial, link, page_link, stream.rows, stream.bytes, stream.sha256)

    def _file(self, document_id: str, *, is_compressed: bool) -> Document:
        name = f"{self._settings.topic_prefix}-{self._month}.csv" + (".gz" if is_compressed else "")
        return Document(
            document_id,
            self._month.year,
            name,
            "application/gzip" if is_compressed else "text/csv; charset=utf-8",
            f"Every change of segment memberships in {self._month} (UTC)",
        )

    async def _put_page(self, document_id: str, summary: Summary) -> str:
        content = await page(summary)
        document = Document(
            document_id,
            self._month.year,
            f"{self._settings.topic_prefix}-{self._month}.html",
            "text/html; charset=utf-8",
            f"What changed in segments in {self._month} (UTC), in sums",
        )
        return await self._storage.put(document, _once(content))

    def _summary(self, summed: Totals, made_at: datetime, name: str, link: str, stream: RowStream) -> Summary:
        return Summary(
            year=self._month.year,
            month=self._month.month,
            is_partial=made_at < self._month.ends,
            made_at=made_at,
            source=self._settings.event_source,
            rows=stream.rows,
            file_name=name,
            file_link=link,
            file_bytes=stream.bytes,
            file_sha256=stream.sha256,
            total=summed.total,
            active=summed.active,
            segments=summed.segments,
            others=summed.others,
            others_count=summed.others_count,
            days=summed.days,
            reasons=summed.reasons,
        )


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content
