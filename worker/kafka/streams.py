"""Compressed batches of records, decompressed piece by piece where they are large.

A batch of 1 MiB, the most that a broker takes by default, may hold gigabytes: brokers bound what is sent, not what it
becomes. aiokafka decompresses a batch as a whole, which is right and fast for all but those.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import struct
import threading
import zlib
from collections.abc import Callable, Generator, Iterator
from typing import Any, NamedTuple

import cramjam

from schemas.cut import Cut
from schemas.envelope import ATTRIBUTE_HEADER_PREFIX, CONTENT_TYPE_HEADER

PIECE_BYTES = 64 * 1024
STREAM_BYTES_MAX = 1024 * 1024 * 1024
"""So much is decompressed of one batch."""
ZSTD_BLOCK_BYTES_MAX = 128 * 1024
ZSTD_MAGIC, ZSTD_HEADER_BYTES_MAX = b"\x28\xb5\x2f\xfd", 18
ZSTD_RAW, ZSTD_REPEATED = 0, 1
LZ4_RATIO_MAX = 255
HEADERS_MAX = 100
"""Headers of one record that are kept: those that may say what it is, and others while there are not so many yet."""
HEADERS_READ_MAX = 100_000
"""So many headers of one record are gone through, which takes a fraction of a second."""
NONE, GZIP, SNAPPY, LZ4, ZSTD = 0, 1, 2, 3, 4
GZIP_MAGIC = b"\x1f\x8b"
XERIAL_HEADER_BYTES = 16
XERIAL_MAGIC = b"\x82SNAPPY\0"


class Corrupt(Exception):
    """What was decompressed are no records."""


CORRUPT = (
    Corrupt,
    cramjam.DecompressionError,
    zlib.error,
    gzip.BadGzipFile,
    EOFError,
    struct.error,
    UnicodeDecodeError,
)
"""What reading a batch may fail with."""


class Endless(Exception):
    """More comes out of a batch than anybody would wait for."""


class Parsed(NamedTuple):
    """A record, as aiokafka's consumer takes it."""

    offset: int
    timestamp: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    checksum: None = None


def is_small(codec: int, payload: memoryview, bytes_max: int) -> bool:
    """Whether the payload decompresses to at most so many bytes. Cheap where that follows from its size."""
    match codec:
        case _ if codec == ZSTD:
            return _zstd_bytes_at_most(payload, bytes_max) <= bytes_max or _fits(cramjam.zstd, payload, bytes_max)
        case _ if codec == LZ4:
            return len(payload) * LZ4_RATIO_MAX <= bytes_max or _fits(cramjam.lz4, payload, bytes_max)
        case _ if codec == GZIP:
            return sum(map(len, _inflated(payload, bytes_max + 1, piece_bytes=bytes_max + 1))) <= bytes_max
        case _:
            return sum(cramjam.snappy.decompress_raw_len(block) for block in _snappy_blocks(payload)) <= bytes_max


def _fits(codec: Any, payload: memoryview, bytes_max: int) -> bool:
    try:
        codec.decompress_into(payload, bytearray(bytes_max))
    except cramjam.DecompressionError:
        return False
    return True


def _zstd_bytes_at_most(payload: memoryview, enough: int) -> int:
    """By the headers of the frame's blocks, as far as they are needed; more than enough where that is not clear."""
    if len(payload) < ZSTD_HEADER_BYTES_MAX or bytes(payload[:4]) != ZSTD_MAGIC:
        return enough + 1
    descriptor = payload[4]
    is_single, dictionary, size_flag = descriptor >> 5 & 1, descriptor & 3, descriptor >> 6
    at = 5 + (1 - is_single) + (0, 1, 2, 4)[dictionary] + (1 << size_flag if size_flag else is_single)
    found = 0
    while found <= enough and at + 3 <= len(payload):
        header = int.from_bytes(payload[at : at + 3], "little")
        is_last, kind, size = header & 1, header >> 1 & 3, header >> 3
        found += size if kind in (ZSTD_RAW, ZSTD_REPEATED) else ZSTD_BLOCK_BYTES_MAX
        at += 3 + (1 if kind == ZSTD_REPEATED else size)
        if is_last:
            checksum = 4 * (descriptor >> 2 & 1)
            return found if at + checksum == len(payload) else enough + 1
    return enough + 1


def _snappy_blocks(payload: memoryview) -> Iterator[memoryview]:
    if bytes(payload[:8]) != XERIAL_MAGIC:
        yield payload
        return
    at = XERIAL_HEADER_BYTES
    while at < len(payload):
        if bytes(payload[at : at + 8]) == XERIAL_MAGIC:  # another stream follows, which Java's clients read on into
            at += XERIAL_HEADER_BYTES
            continue
        (size,) = struct.unpack_from(">i", payload, at)
        if size <= 0:
            raise Corrupt("a block has no size")
        yield payload[at + 4 : at + 4 + size]
        at += 4 + size


def pieces(codec: int, payload: memoryview) -> Generator[bytes, None, None]:
    """The payload decompressed, in pieces of bounded size."""
    match codec:
        case _ if codec == NONE:
            yield bytes(payload)
        case _ if codec == ZSTD:
            yield from _piped(cramjam.zstd.decompress_into, payload)
        case _ if codec == LZ4:
            yield from _piped(cramjam.lz4.decompress_into, payload)
        case _ if codec == GZIP:
            yield from _inflated(payload, STREAM_BYTES_MAX + PIECE_BYTES, piece_bytes=PIECE_BYTES)
        case _:
            for block in _snappy_blocks(payload):
                yield bytes(cramjam.snappy.decompress_raw(block))


def _inflated(payload: memoryview, enough: int, *, piece_bytes: int) -> Iterator[bytes]:
    """All members of the payload, one after the other, up to so many bytes at least; as in Java, what follows them and
    is none is passed over."""
    rest: bytes | memoryview = payload
    while enough > 0 and bytes(rest[:2]) == GZIP_MAGIC:
        inflate = zlib.decompressobj(wbits=31)
        while piece := inflate.decompress(rest, piece_bytes):
            yield piece
            enough -= len(piece)
            rest = inflate.unconsumed_tail
        rest = inflate.unused_data


def _piped(decompress: Callable[[Any, Any], int], payload: memoryview) -> Iterator[bytes]:
    """Through a pipe: whoever decompresses waits in a thread of its own until the pieces before were taken."""
    reading, writing = os.pipe()
    thread = threading.Thread(target=_pump, args=(decompress, bytes(payload), writing), daemon=True)
    thread.start()
    try:
        while piece := os.read(reading, PIECE_BYTES):
            yield piece
    finally:
        os.close(reading)  # the thread ends at its next write
        thread.join()


def _pump(decompress: Callable[[Any, Any], int], payload: bytes, writing: int) -> None:
    """What can't be decompressed ends early, which the reader of the records notices."""
    try:
        with contextlib.suppress(cramjam.DecompressionError, OSError):
            decompress(payload, cramjam.File(f"/dev/fd/{writing}", read=False, write=True, truncate=False))
    finally:
        os.close(writing)


class Reader:
    """Takes numbers and bytes from pieces."""

    def __init__(self, source: Iterator[bytes]) -> None:
        self._source, self._piece, self._at = source, b"", 0
        self.taken = 0

    def take(self, count: int) -> bytes:
        """So many bytes."""
        parts, missing = [], count
        while missing:
            part = self._next(missing)
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def skip(self, count: int) -> None:
        """Pass over so many bytes."""
        while count:
            count -= len(self._next(count))

    def first(self, count: int, kept_max: int) -> bytes | None:
        """So many bytes, of which no more than the first ones are kept; None for a negative count."""
        if count < 0:
            return None
        if count <= kept_max:
            return self.take(count)
        kept = Cut(self.take(kept_max), count)
        self.skip(count - kept_max)
        return kept

    def number(self) -> int:
        """A number of variable length."""
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value >> 1 ^ -(value & 1)
            shift += 7
            if shift > 63:
                raise Corrupt("a number is too long")

    def _next(self, count: int) -> bytes:
        if self._at == len(self._piece):
            self._piece, self._at = next(self._source, b""), 0
            if not self._piece:
                raise Corrupt("the batch ends within a record")
        part = self._piece[self._at : self._at + count]
        self._at += len(part)
        self.taken += len(part)
        if self.taken > STREAM_BYTES_MAX:
            raise Endless
        return part


class Limits(NamedTuple):
    """What is kept of a record: of a larger key or value one byte over the limit, and the first headers."""

    value_bytes_max: int
    headers_max: int = HEADERS_MAX


def records(batch: Any, count: int, payload: memoryview, limits: Limits) -> Iterator[Parsed]:
    """The batch's records one by one, within the limits. A header's name that is no UTF-8 has U+FFFD in place of what
    is none.

    Where far too much comes out of it, the others are passed off as too large, unseen.
    """
    source = pieces(batch.compression_type, payload)
    reader, done = Reader(source), 0
    try:
        for number in range(count):
            done = number
            yield _record(batch, reader, limits.value_bytes_max + 1, limits.headers_max)
    except Endless:
        value = Cut(b"", None)
        for number in range(done, count):
            yield Parsed(batch.base_offset + number, batch.first_timestamp, batch.timestamp_type, None, value, [])
    finally:
        source.close()


def _record(batch: Any, reader: Reader, kept_max: int, headers_max: int) -> Parsed:
    size = reader.number()
    end = reader.taken + size
    reader.skip(1)
    timestamp = batch.first_timestamp + reader.number()
    offset = batch.base_offset + reader.number()
    key = reader.first(reader.number(), kept_max)
    value = reader.first(reader.number(), kept_max)
    headers = _headers(reader, kept_max, headers_max)
    if reader.taken > end or size < 0:
        raise Corrupt("a record is longer than it says")
    reader.skip(end - reader.taken)
    if batch.timestamp_type:
        timestamp = batch.max_timestamp
    return Parsed(offset, timestamp, batch.timestamp_type, key, value, headers)


def _headers(reader: Reader, kept_max: int, headers_max: int) -> list[tuple[str, bytes | None]]:
    """A record's headers, those of CloudEvents wherever they stand: the verdict must not depend on the batch."""
    found: list[tuple[str, bytes | None]] = []
    telling = 0
    for _ in range(min(reader.number(), max(HEADERS_READ_MAX, headers_max))):
        name = (reader.first(reader.number(), kept_max) or b"").decode("utf-8", "replace")
        lower, count = name.lower(), reader.number()
        tells = lower == CONTENT_TYPE_HEADER or lower.startswith(ATTRIBUTE_HEADER_PREFIX)
        if telling < headers_max if tells else len(found) < headers_max:
            found.append((name, reader.first(count, kept_max)))
            telling += tells
        else:
            reader.skip(max(count, 0))
    return found
