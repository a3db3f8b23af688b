"""What is held of content on its way."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator

import pytest

from worker.reports.drive.window import Forgotten, Window


async def content(*pieces: bytes) -> AsyncIterator[bytes]:
    """In these pieces."""
    for piece in pieces:
        yield piece


async def test_it_is_filled_as_far_as_asked_for() -> None:
    window = Window(content(b"abc", b"def", b"ghi"))
    await window.fill(0, 4)
    assert window.take(0, 6) == b"abcdef"
    assert window.size_bytes is None
    with pytest.raises(AssertionError):
        window.take(0, 7)


async def test_what_lies_before_is_let_go() -> None:
    window = Window(content(b"abc", b"def", b"ghi"))
    await window.fill(0, 4)
    await window.fill(4, 3)
    assert window.take(4, 3) == b"efg"
    with pytest.raises(Forgotten, match="byte 3"):
        window.take(3, 3)


async def test_the_end_is_known_once_it_is_passed() -> None:
    window = Window(content(b"abc", b"def"))
    await window.fill(0, 6)
    assert window.size_bytes is None
    await window.fill(0, 7)
    assert window.size_bytes == 6
    assert window.take(4, 10) == b"ef"
    with pytest.raises(Forgotten, match="all bytes"):
        window.take(6, 10)


async def test_the_size_stays_as_it_moves() -> None:
    window = Window(content(b"abcdef"))
    await window.fill(0, 7)
    await window.fill(5, 7)
    assert window.size_bytes == 6
    assert window.take(5, 7) == b"f"
    assert window.sha256 == hashlib.sha256(b"abcdef").hexdigest()


async def test_there_may_be_nothing() -> None:
    window = Window(content())
    await window.fill(0, 1)
    assert (window.size_bytes, window.take(0, 5)) == (0, b"")
