"""The month's rows as a stream of CSV: from PostgreSQL's COPY into the upload, counted and hashed on the way.

What is held in memory is a few pieces, and at first as much as decides whether the file is to be compressed.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import zlib
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

from worker.database import Session
from worker.reports.months import Month

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
    """A month's file while it is written. Enter it, ask whether it `is_compressed`, read `content` to its end."""

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
        self._copying = asyncio.create_task(self._copy())
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
        """The file's bytes, once; raises what the database raised."""
        packer = zlib.compressobj(COMPRESSION_LEVEL, wbits=GZIP_WINDOW) if self.is_compressed else None
        async for piece in self._all():
            packed = await asyncio.to_thread(packer.compress, piece) if packer else piece
            if packed:
                yield self._counted(packed)
        if packer:
            yield self._counted(packer.flush())
        self.rows = await self._copying

    async def _all(self) -> AsyncIterator[bytes]:
        while self._head:
            yield self._head.pop(0)
        while (piece := await self._next()) is not None:
            yield piece

    async def _next(self) -> bytes | None:
        """The next piece, None after the last one; raises what ended the copy."""
        if self._copying.done() and self._pieces.empty():
            self._copying.result()
            return None
        piece = await self._pieces.get()
        if piece is None:
            await self._copying
        return piece

    async def _copy(self) -> int:
        try:
            count = await self._session.copy(
                "report_rows",
                self._month.begins,
                self._month.ends,
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
        """Stop the copy where it was not read to its end; the session is given up then."""
        self._copying.cancel()
        with contextlib.suppress(asyncio.QueueEmpty):
            while True:
                self._pieces.get_nowait()
        await asyncio.wait({self._copying})
        if not self._copying.cancelled():
            self._copying.exception()  # it was raised to the reader, or nobody reads any more
