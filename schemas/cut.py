"""Keys and values of which only the first bytes were kept, as they are larger than anything that is taken."""

from __future__ import annotations


class Cut(bytes):
    """The first bytes of a record's key or value, and the size of all of it; None where it was not read at all."""

    size: int | None

    def __new__(cls, kept: bytes, size: int | None) -> Cut:
        made = super().__new__(cls, kept)
        made.size = size
        return made


def size_of(data: bytes | None) -> int | None:
    """The full size, bytes; None where it is not known."""
    if isinstance(data, Cut):
        return data.size
    return len(data or b"")
