"""Standard input as lines of UTF-8, in constant memory, whatever shell has written it."""

from __future__ import annotations

import codecs
import contextlib
import os
import stat
import sys
from collections.abc import AsyncIterator
from functools import partial

from worker.cli.ahead import ahead

READ_BYTES = 64 * 1024
LINE_BYTES_MAX = 4 * 1024 * 1024
MARK_BYTES_MAX = 4
"""So much of the beginning tells how the rest is encoded."""


class Utf8:
    """Takes blocks as they come, and hands them on in UTF-8 without a byte order mark; PowerShell writes either."""

    def __init__(self) -> None:
        self._begin: bytes | None = b""
        self._decoder: codecs.IncrementalDecoder | None = None

    def __call__(self, block: bytes, *, is_last: bool = False) -> bytes:
        """The block, as far as it is whole; the last one ends what is left."""
        if self._begin is not None:
            self._begin += block
            if len(self._begin) < MARK_BYTES_MAX and not is_last:
                return b""
            block, self._begin = self._begin, None
            if encoding := _utf_16(block):
                self._decoder = codecs.getincrementaldecoder(encoding)("replace")
            block = block.removeprefix(codecs.BOM_UTF8)
        if self._decoder is None:
            return block
        return self._decoder.decode(block, is_last).encode(errors="replace").removeprefix(codecs.BOM_UTF8)


def _utf_16(begin: bytes) -> str | None:
    """Which of both UTF-16 is; ASCII, with which JSON begins, has every other byte zero in it."""
    if begin.startswith(codecs.BOM_UTF16_LE) or (len(begin) >= 2 and begin[0] and not begin[1]):
        return "utf-16-le"
    if begin.startswith(codecs.BOM_UTF16_BE) or (len(begin) >= 2 and begin[1] and not begin[0]):
        return "utf-16-be"
    return None


async def lines() -> AsyncIterator[list[bytes]]:
    """The lines of each block, as soon as they are there; one that is too long is cut."""
    rest, utf_8 = b"", Utf8()
    async for block in ahead(iter(partial(os.read, sys.stdin.fileno(), READ_BYTES), b"")):
        *whole, rest = (rest + utf_8(block)).split(b"\n")
        rest = rest[: LINE_BYTES_MAX + 1]
        yield whole
    *whole, rest = (rest + utf_8(b"", is_last=True)).split(b"\n")
    yield [*whole, rest] if rest else whole


def bytes_of_file() -> int | None:
    """Standard input's size where it is a file."""
    with contextlib.suppress(OSError, ValueError):
        status = os.fstat(sys.stdin.fileno())
        return status.st_size if stat.S_ISREG(status.st_mode) else None
    return None
