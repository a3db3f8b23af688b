"""A month read in one snapshot: its sums, then its rows as a stream of CSV from PostgreSQL's COPY into the upload.

What is held in memory is a few pieces, and at first as much as decides whether the file is to be compressed. The
transaction ends with COPY, however long the upload of what is held may take.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import zlib
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

from schemas.failures import journal_dropped
from worker.postgres.session import Session
from worker.reports.failures import ReportError
from worker.reports.months import Month
from worker.reports.totals import Totals, totals

PIECE_BYTES = 1024 * 1024
"""Pieces are gathered to this size before they are compressed, hashed and handed on, bytes."""
PIECES_MAX = 4
"""Pieces that wait for the upload; with more the database waits too."""
COMPRESSION_LEVEL = 3
"""zlib's; higher ones cost more time than they save."""
COPY_SECONDS_MAX = 24 * 3600.0
"""So long the database may have to wait for a slow upload, s."""
GZIP_WINDOW = 31
"""zlib's name for the gzip format; its header holds no time, so the same rows give the same bytes."""


class RowStream:
    """A month's file while it is written. Enter it, ask for `totals` and whether it `is_compressed`, read `content`."""

    totals: Totals

    def __init__(self, session: Session, month: Month, separator: str, compress_bytes_min: int) -> None:
        self._session, self._month, self._separator = session, month, separator
        self._compress_bytes_min = compress_bytes_min
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue(PIECES_MAX)
        self._gathered = bytearray()
        self._head: list[bytes] = []
        self._hash = hashlib.sha256()
        self.is_compressed = False
        self.lines = 0
        """Line ends seen so far: the rows and the header, but for line breaks inside of values."""
        self.rows = self.bytes = 0
        """Of the whole file, when it was read to its end."""

    async def __aenter__(self) -> Self:
        self._reading = asyncio.create_task(self._read())
        try:
            size = 0
            while size < self._compress_bytes_min and (piece := await self._next()) is not None:
                self._head.append(piece)
                size += len(piece)
            self.is_compressed = size >= self._compress_bytes_min
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end()

    @property
    def sha256(self) -> str:
        """Of the file, in hexadecimal."""
        return self._hash.hexdigest()

    async def content(self) -> AsyncIterator[bytes]:
        """The file's bytes, once; raises what the database raised.

        The last piece is held back until all was seen to be there, so nothing wrong ever looks complete.
        """
        packer = zlib.compressobj(COMPRESSION_LEVEL, wbits=GZIP_WINDOW) if self.is_compressed else None
        last = b""
        async for piece in self._all():
            packed = await asyncio.to_thread(packer.compress, piece) if packer else piece
            if packed and last:
                yield self._counted(last)
            last = packed or last
        self.rows = await self._reading
        if self.rows != self.totals.rows:
            raise _inconsistent(self._month, self.rows, self.totals.rows)
        yield self._counted(last + packer.flush() if packer else last)

    async def _all(self) -> AsyncIterator[bytes]:
        while self._head:
            yield self._head.pop(0)
        while (piece := await self._next()) is not None:
            yield piece

    async def _next(self) -> bytes | None:
        """The next piece, None after the last one; raises what ended the copy."""
        if self._reading.done() and self._pieces.empty():
            self._reading.result()
            return None
        piece = await self._pieces.get()
        if piece is None:
            await self._reading
        return piece

    async def _read(self) -> int:
        """Returns the number of rows; raises ReportError where the month's journal is gone, and Unavailable."""
        session, month = self._session, self._month
        try:
            async with session.transaction(is_snapshot=True):
                await session.fetch("report_lock")
                if (await session.row("report_is_dropped", month.first_day))["is_dropped"]:
                    raise ReportError("journal_dropped", journal_dropped(str(month)), is_permanent=True)
                self.totals = await totals(session, month)
                await session.fetch("report_plan")
                count = await session.copy(
                    "report_rows",
                    month.begins,
                    month.ends,
                    output=self._take,
                    separator=self._separator,
                    seconds_max=COPY_SECONDS_MAX,
                )
            await self._hand_on()
            return count
        finally:
            await self._pieces.put(None)

    async def _take(self, data: bytes) -> None:
        self._gathered += data
        self.lines += data.count(b"\n")
        if len(self._gathered) >= PIECE_BYTES:
            await self._hand_on()

    async def _hand_on(self) -> None:
        if self._gathered:
            piece = bytes(self._gathered)
            self._gathered.clear()
            await self._pieces.put(piece)

    def _counted(self, piece: bytes) -> bytes:
        self._hash.update(piece)
        self.bytes += len(piece)
        return piece

    async def _end(self) -> None:
        """Stop reading where that has not come to its end; the session is given up then."""
        self._reading.cancel()
        with contextlib.suppress(asyncio.QueueEmpty):
            while True:
                self._pieces.get_nowait()
        await asyncio.wait({self._reading})
        if not self._reading.cancelled():
            self._reading.exception()  # it was raised to the reader, or nobody reads any more


def _inconsistent(month: Month, rows: int, wanted: int) -> ReportError:
    return ReportError(
        "inconsistent",
        f"The file of {month} has {rows} rows, but the sums tell of {wanted}: a bug, or somebody changed the tables.",
        is_permanent=True,
    )
