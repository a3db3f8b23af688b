"""One edition of a month's report: the file of all rows and the page that sums them up, made and stored."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

from worker.errors import ConfigurationError, Refused, Unavailable
from worker.postgres.clock import Clock, moment
from worker.postgres.session import DriverError, Session
from worker.reports.failures import ReportError, refused_by_database
from worker.reports.months import Month
from worker.reports.page.process import RenderingFailed, page
from worker.reports.page.summary import Summary
from worker.reports.rows import RowStream
from worker.reports.storage import Document, Storage
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
        self,
        settings: Settings,
        session: Session,
        storage: Storage,
        month: Month,
        *,
        is_partial: bool,
        clock: Clock,
    ) -> None:
        self._settings, self._session, self._storage = settings, session, storage
        self._month, self._is_partial, self._clock = month, is_partial, clock
        self._stream: RowStream | None = None
        self.rows_total: int | None = None

    @property
    def rows(self) -> int:
        """About how many rows are written."""
        return max(0, self._stream.lines - 1) if self._stream else 0

    async def make(self, places: Places) -> Edition:
        """Write both documents; the file first, since the page links to it. Raises ReportError."""
        try:
            return await self._make(places)
        except Unavailable as error:
            message = "PostgreSQL could not be read. It is tried again"
            raise ReportError("database_unavailable", message, is_permanent=False, detail=str(error)) from error
        except (Refused, ConfigurationError, DriverError) as error:
            raise refused_by_database(error) from error
        except RenderingFailed as error:
            message = "The page was not drawn; the worker's log has the reason. It is tried again"
            raise ReportError("page_failed", message, is_permanent=False, detail=str(error)) from error

    async def _make(self, places: Places) -> Edition:
        made_at, settings = await moment(self._session, self._clock), self._settings
        self._stream = RowStream(
            self._session, self._month, settings.report_separator, settings.report_compress_bytes_min
        )
        async with self._stream as stream:
            self.rows_total = stream.totals.rows
            file = self._file(places.file_id, is_compressed=stream.is_compressed)
            link = await self._storage.put(file, stream.content())
        summary = self._summary(stream, made_at, file.name, link)
        page_link = await self._put_page(places.page_id, summary)
        return Edition(made_at, self._is_partial, link, page_link, stream.rows, stream.bytes, stream.sha256)

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

    def _summary(self, stream: RowStream, made_at: datetime, name: str, link: str) -> Summary:
        totals = stream.totals
        return Summary(
            year=self._month.year,
            month=self._month.month,
            is_partial=self._is_partial,
            made_at=made_at,
            source=self._settings.event_source,
            rows=stream.rows,
            file_name=name,
            file_link=link,
            file_bytes=stream.bytes,
            file_sha256=stream.sha256,
            total=totals.total,
            active=totals.active,
            segments=totals.segments,
            others=totals.others,
            others_count=totals.others_count,
            days=totals.days,
            reasons=totals.reasons,
        )


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content
