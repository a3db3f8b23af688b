"""The lines of a file in whatever encoding people save it, each of bounded length."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple, cast

from worker.errors import ConfigurationError

HEAD_BYTES = 4
"""So much of a file tells its encoding."""
LINE_CHARACTERS_MAX = 1_048_576
BUFFER_BYTES = 64 * 1024
_UNDECODED = "\udc80"
"""Stands for bytes that are no text: no decoder makes a lone surrogate, so that it means nothing else."""
_MARK = "segmentation-undecoded"
codecs.register_error(_MARK, lambda error: (_UNDECODED, cast("UnicodeDecodeError", error).end))


class Line(NamedTuple):
    """A line of the file, from 1, without its end; not whole where it is longer than LINE_CHARACTERS_MAX."""

    number: int
    text: str
    is_whole: bool


def lines(file: BinaryIO, head: bytes) -> Iterator[Line]:
    """The lines of a file whose first bytes were read already. Raises ConfigurationError for what is no text."""
    encoding = _encoding(head)
    raw = io.BufferedReader(_Again(head, file), BUFFER_BYTES)
    text = io.TextIOWrapper(raw, encoding=encoding, errors=_MARK, newline="")
    number = 0
    while line := text.readline(LINE_CHARACTERS_MAX):
        number += 1
        if _UNDECODED in line:
            name = encoding.removesuffix("-sig").upper()
            raise ConfigurationError(
                f"row {number:,} holds bytes that are no {name}: save the file as UTF-8, "
                "or convert it, such as with `iconv -f WINDOWS-1252 -t UTF-8`"
            )
        is_whole = len(line) < LINE_CHARACTERS_MAX or line.endswith(("\r", "\n"))
        if not is_whole:
            _skip(text)
        yield Line(number, line.rstrip("\r\n"), is_whole)


def _skip(text: io.TextIOWrapper) -> None:
    """Read on to the end of the line."""
    while rest := text.readline(LINE_CHARACTERS_MAX):
        if rest.endswith(("\r", "\n")):
            return


def _encoding(head: bytes) -> str:
    if head.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if head[1:2] == b"\0":
        return "utf-16-le"
    if head[:1] == b"\0":
        return "utf-16-be"
    return "utf-8"


class _Again(io.RawIOBase):
    """A file whose first bytes were read already, from its beginning, also where it can't be wound back."""

    def __init__(self, head: bytes, file: BinaryIO) -> None:
        self._head = head
        self._file = cast("io.BufferedReader", file)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = self._head or self._file.read1(len(buffer))
        self._head = b""
        buffer[: len(chunk)] = chunk
        return len(chunk)
