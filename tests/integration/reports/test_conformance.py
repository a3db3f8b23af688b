"""What every storage promises."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from tests.integration.reports.places import Place, document, pieces, stranger

ODD_NAMES = (
    "Bericht für Übersee.csv",
    'it\'s "quoted" \\ and back.csv',
    "100 % & more?#=.csv",
    "отчёт за октябрь – 🎉.csv",
    " spaces  around .csv",
    "' or name = '",
)


class Halted(Exception):
    """The content can't go on."""


class Counted:
    """Content that knows how often it was asked."""

    def __init__(self, count: int) -> None:
        self._count, self.calls = count, 0

    def __aiter__(self) -> Counted:
        return self

    async def __anext__(self) -> bytes:
        self.calls += 1
        if self.calls > self._count:
            raise StopAsyncIteration
        return b"x"


async def test_anyone_with_the_link_reads_what_was_put(place: Place) -> None:
    (document_id,) = await place.storage.reserve(1)
    link = await place.storage.put(document(document_id), pieces(b"a,b\n", b"1,2\n"))
    assert await stranger(place, link) == b"a,b\n1,2\n"
    assert place.names() == ["2026/2026-10.csv"]


async def test_a_later_edition_replaces_the_content_and_keeps_the_link(place: Place) -> None:
    (document_id,) = await place.storage.reserve(1)
    link = await place.storage.put(document(document_id), pieces(b"old and longer"))
    assert await place.storage.put(document(document_id), pieces(b"new")) == link
    assert await stranger(place, link) == b"new"
    assert place.names() == ["2026/2026-10.csv"]


async def test_nothing_is_left_of_content_that_raises(place: Place) -> None:
    (document_id,) = await place.storage.reserve(1)
    with pytest.raises(Halted):
        await place.storage.put(document(document_id), _halted(b"x" * 1_300_000))
    assert place.names() == []
    link = await place.storage.put(document(document_id), pieces(b"whole"))
    assert await stranger(place, link) == b"whole"


@pytest.mark.parametrize("length", [0, 10, 524_288, 1_300_000])
async def test_content_that_raises_leaves_what_was_there(place: Place, length: int) -> None:
    (document_id,) = await place.storage.reserve(1)
    link = await place.storage.put(document(document_id), pieces(b"old"))
    with pytest.raises(Halted):
        await place.storage.put(document(document_id), _halted(b"x" * length))
    assert await stranger(place, link) == b"old"


async def test_a_cancelled_one_leaves_what_was_there(place: Place) -> None:
    (document_id,) = await place.storage.reserve(1)
    link = await place.storage.put(document(document_id), pieces(b"old"))
    is_asked = asyncio.Event()
    task = asyncio.create_task(place.storage.put(document(document_id), _endless(is_asked)))
    await is_asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await stranger(place, link) == b"old"
    assert await place.storage.put(document(document_id), pieces(b"new")) == link
    assert await stranger(place, link) == b"new"


async def test_content_may_be_empty(place: Place) -> None:
    ids = await place.storage.reserve(2)
    for document_id, content in zip(ids, (pieces(), pieces(b"", b"")), strict=True):
        link = await place.storage.put(document(document_id, f"{document_id}.csv"), content)
        assert await stranger(place, link) == b""


@pytest.mark.parametrize("length", [1, 262_144, 524_287, 524_288, 524_289, 1_048_576])
async def test_no_length_is_special(place: Place, length: int) -> None:
    (document_id,) = await place.storage.reserve(1)
    content = random.Random(length).randbytes(length)
    link = await place.storage.put(document(document_id), pieces(content))
    assert await stranger(place, link) == content


async def test_pieces_may_have_any_size(place: Place) -> None:
    (document_id,) = await place.storage.reserve(1)
    chance = random.Random(20)
    sizes = [1, 0, 97_001, 3, 700_001, 262_144, 2, *(chance.randrange(60_000) for _ in range(40))]
    parts = [chance.randbytes(size) for size in sizes]
    link = await place.storage.put(document(document_id), pieces(*parts))
    assert await stranger(place, link) == b"".join(parts)


@pytest.mark.parametrize("name", ODD_NAMES)
async def test_names_may_have_unusual_characters(place: Place, name: str) -> None:
    (document_id,) = await place.storage.reserve(1)
    link = await place.storage.put(document(document_id, name), pieces(b"content"))
    assert await stranger(place, link) == b"content"
    assert place.names() == [f"2026/{name}"]


async def test_a_name_may_come_again(place: Place) -> None:
    """In another year it is another document."""
    ids = await place.storage.reserve(2)
    documents = [document(ids[0]), document(ids[1], year=2027)]
    links = [await place.storage.put(each, pieces(each.document_id.encode())) for each in documents]
    assert len(set(links)) == 2
    for each, link in zip(documents, links, strict=True):
        assert await stranger(place, link) == each.document_id.encode()


async def test_reserved_ids_differ(place: Place) -> None:
    ids = [*await place.storage.reserve(3), *await place.storage.reserve(1_001)]
    assert len(set(ids)) == 1_004
    assert place.names() == []


async def test_content_is_read_once(place: Place) -> None:
    (document_id,) = await place.storage.reserve(1)
    content = Counted(3)
    await place.storage.put(document(document_id), content)
    assert content.calls == 4  # the last one is told that there is no more


@pytest.mark.parametrize("with_trial", [False, True])
async def test_a_check_is_content_and_leaves_nothing(place: Place, with_trial: bool) -> None:
    findings = await place.storage.check(with_trial=with_trial)
    assert findings
    assert [finding for finding in findings if not finding.is_good] == []
    assert place.names() == []


async def test_closing_twice_does_no_harm(place: Place) -> None:
    await place.storage.reserve(1)
    await place.storage.close()
    await place.storage.close()


async def _halted(start: bytes) -> AsyncIterator[bytes]:
    yield start
    raise Halted


async def _endless(is_asked: asyncio.Event) -> AsyncIterator[bytes]:
    yield b"x" * 1_300_000
    is_asked.set()
    await asyncio.Event().wait()
