"""A user's memberships as bytes: an item of fixed size for each, in the order of the segments' keys.

So a user in 10,000 segments takes 210 kB instead of 1.5 MB of JSON, and whether a user is in a segment is a binary
search. Times are microseconds since 1970.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

_ITEM = struct.Struct("<IBqq")
_KEY = struct.Struct("<I")
_EXPIRY = struct.Struct("<q")
_EXPIRY_AT = _ITEM.size - _EXPIRY.size
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

FOREVER = 2**63 - 1
"""The expiry of a membership that has none."""


class Item(NamedTuple):
    """A membership; `origin` is a key as `segment` is."""

    segment: int
    origin: int
    since: int
    expires: int


def micros(text: str) -> int:
    """An instant with a zone; raises ValueError or TypeError for anything else."""
    passed = datetime.fromisoformat(text) - _EPOCH
    return (passed.days * 86_400 + passed.seconds) * 1_000_000 + passed.microseconds


def instant(since: int) -> datetime:
    """The microseconds as a datetime in UTC."""
    return _EPOCH + timedelta(microseconds=since)


def pack(items: Iterable[tuple[int, int, int, int]]) -> bytes:
    """The items, one for each segment."""
    return b"".join([_ITEM.pack(*item) for item in sorted(items)])


def unpack(packed: bytes) -> list[Item]:
    """The items again."""
    return [Item(*item) for item in _ITEM.iter_unpack(packed)]


def active_in(packed: bytes, now: int) -> list[int]:
    """The keys of the segments whose membership has not ended."""
    return [key for key, _, _, expires in _ITEM.iter_unpack(packed) if now < expires]


def is_active_in(packed: bytes, segment: int, now: int) -> bool:
    """Whether there is a membership of this segment which has not ended."""
    low, high = 0, len(packed) // _ITEM.size
    while low < high:
        middle = (low + high) // 2
        (key,) = _KEY.unpack_from(packed, middle * _ITEM.size)
        if key == segment:
            (expires,) = _EXPIRY.unpack_from(packed, middle * _ITEM.size + _EXPIRY_AT)
            return bool(now < expires)
        if key < segment:
            low = middle + 1
        else:
            high = middle
    return False
