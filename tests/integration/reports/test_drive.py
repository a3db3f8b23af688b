"""Documents in Drive: where they lie, who else writes there, and how much of them is held."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import AsyncIterator, Callable

import pytest

from tests.integration.reports.drives import CHUNK_BYTES, inside, opened, reports, the_file
from tests.integration.reports.places import document, pieces
from tests.support.drive import DELEGATE, FOLDER, USER, Fault, File, LocalDrive
from tests.support.drive.faults import Request
from tests.support.drive.world import Permission
from worker.reports.drive.storage import Drive
from worker.reports.storage import StorageError

MIB = 1024 * 1024


async def test_a_document_is_described(local: LocalDrive, top: File, drive: Drive) -> None:
    (document_id,) = await drive.reserve(1)
    link = await drive.put(document(document_id, "old name.csv"), pieces(b"1"))
    await drive.put(document(document_id, "new name.csv"), pieces(b"2"))
    file = the_file(local, top)
    assert (file.name, file.description, file.mime_type) == ("new name.csv", "The report new name.csv", "text/csv")
    assert link == f"{local.endpoint}/file/d/{document_id}/view?usp=drivesdk"


async def test_the_oldest_folder_of_the_year_is_taken(local: LocalDrive, top: File, drive: Drive) -> None:
    """Of more than fit on a page; one that is in the trash does not count, nor a file of that name."""
    trashed = local.world.add("2026", top.id)
    trashed.is_trashed = True
    local.world.add("2026", top.id, mime_type="text/csv")
    folders = [local.world.add("2026", top.id) for _ in range(5)]
    (document_id,) = await drive.reserve(1)
    await drive.put(document(document_id), pieces(b"1"))
    assert local.world.files[document_id].parents == [folders[0].id]
    assert len(inside(local, top)) == 7


async def test_of_two_workers_one_creates_the_years_folder(local: LocalDrive, top: File) -> None:
    """Both have looked and found none: neither creation is carried out before the other has begun."""
    together = threading.Barrier(2)

    def both_have_looked(request: Request) -> None:
        if request.verb == "POST" and request.path == "/drive/v3/files":
            together.wait(10)

    local.before = both_have_looked
    async with opened(local, top) as one, opened(local, top) as other:
        ids = await one.reserve(2)
        puts = [each.put(document(ids[n]), pieces(b"1")) for n, each in enumerate((one, other))]
        await asyncio.gather(*puts)
    folders = [file for file in inside(local, top) if file.mime_type == FOLDER]
    assert len(folders) == 1
    assert {local.world.files[document_id].parents[0] for document_id in ids} == {folders[0].id}


async def test_of_two_new_folders_the_older_one_stays(local: LocalDrive, top: File, drive: Drive) -> None:
    other: list[File] = []

    def another_worker(request: Request) -> None:
        if request.verb == "POST" and request.path == "/drive/v3/files" and not other:
            other.append(local.world.add("2026", top.id))

    local.before = another_worker
    (document_id,) = await drive.reserve(1)
    await drive.put(document(document_id), pieces(b"1"))
    assert the_file(local, top).parents == [other[0].id]
    assert sum(file.name == "2026" and file.is_trashed for file in local.world.files.values()) == 1


async def test_a_file_in_the_trash_comes_back(local: LocalDrive, top: File, drive: Drive) -> None:
    (document_id,) = await drive.reserve(1)
    link = await drive.put(document(document_id), pieces(b"1"))
    the_file(local, top).is_trashed = True
    assert await drive.put(document(document_id), pieces(b"2")) == link
    assert the_file(local, top).content == b"2"


async def test_a_file_whose_folder_is_in_the_trash_comes_back(local: LocalDrive, top: File, drive: Drive) -> None:
    (document_id,) = await drive.reserve(1)
    link = await drive.put(document(document_id), pieces(b"1"))
    local.world.files[the_file(local, top).parents[0]].is_trashed = True
    assert await drive.put(document(document_id), pieces(b"2")) == link
    assert the_file(local, top).content == b"2"


async def test_a_file_that_was_moved_is_moved_back(local: LocalDrive, top: File, drive: Drive) -> None:
    (document_id,) = await drive.reserve(1)
    link = await drive.put(document(document_id), pieces(b"1"))
    local.world.files[document_id].parents = [top.id]
    assert await drive.put(document(document_id), pieces(b"2")) == link
    assert the_file(local, top).content == b"2"


async def test_a_file_that_appears_before_the_upload_gets_this_content(
    local: LocalDrive, top: File, drive: Drive
) -> None:
    (document_id,) = await drive.reserve(1)

    def another_worker(request: Request) -> None:
        if request.verb == "POST" and request.path.startswith("/upload"):
            _appear(local, top, document_id, b"another worker's")

    local.before = another_worker
    await drive.put(document(document_id), pieces(b"ours"))
    assert the_file(local, top).content == b"ours"


@pytest.mark.parametrize("content", [b"another worker's", b"this length"])
async def test_a_file_that_appears_during_the_upload_is_not_taken_for_done(
    local: LocalDrive, top: File, drive: Drive, content: bytes
) -> None:
    """What was sent is lost, so the caller has to come again with it."""
    (document_id,) = await drive.reserve(1)
    local.before = _appears_at_the_end(local, top, document_id, content)
    with pytest.raises(StorageError) as caught:
        await drive.put(document(document_id), pieces(b"same length"))
    assert (caught.value.code, caught.value.is_permanent) == ("upload_lost", False)
    await drive.put(document(document_id), pieces(b"same length"))
    assert the_file(local, top).content == b"same length"


async def test_a_file_that_appears_with_this_content_is_done(local: LocalDrive, top: File, drive: Drive) -> None:
    """As after a lost answer to the last chunk."""
    (document_id,) = await drive.reserve(1)
    local.before = _appears_at_the_end(local, top, document_id, b"the same")
    await drive.put(document(document_id), pieces(b"the same"))
    assert the_file(local, top).content == b"the same"


async def test_a_lost_last_answer_and_a_lost_session_are_no_failure(local: LocalDrive, top: File, drive: Drive) -> None:
    (document_id,) = await drive.reserve(1)
    await drive.put(document(document_id), pieces(b"old"))
    local.faults.plan((4, Fault.NOT_ANSWERED), (5, Fault.SESSION_GONE))
    await drive.put(document(document_id), pieces(b"new"))
    assert [request.is_of_session for request in local.faults.requests[4:7]] == [True, True, False]
    assert the_file(local, top).content == b"new"


async def test_what_drive_holds_is_compared(local: LocalDrive, top: File, drive: Drive) -> None:
    (document_id,) = await drive.reserve(1)

    def another_writer(request: Request) -> None:
        if request.verb == "GET" and document_id in local.world.files:
            local.world.files[document_id].content = b"somebody else's"

    local.before = another_writer
    with pytest.raises(StorageError) as caught:
        await drive.put(document(document_id), pieces(b"ours"))
    assert (caught.value.code, caught.value.is_permanent) == ("upload_damaged", False)
    assert not local.world.is_public(local.world.files[document_id])


@pytest.mark.parametrize("piece_bytes", [64 * 1024, MIB - 1])
async def test_no_more_is_held_than_two_chunks(local: LocalDrive, top: File, piece_bytes: int) -> None:
    """64 MiB: at each piece, what Drive has not yet said to have; with a chunk that is taken in part only."""
    held: list[int] = []

    async def content() -> AsyncIterator[bytes]:
        block, given = random.Random(4).randbytes(piece_bytes), 0
        while given < 64 * MIB:
            received = sum(len(session.received) for session in local.uploads.sessions.values())
            held.append(given - received)
            yield block
            given += piece_bytes

    async with opened(local, top, chunk_bytes=2 * MIB) as drive:
        (document_id,) = await drive.reserve(1)
        local.faults.plan((12, Fault.PART_TAKEN), (20, Fault.NOTHING_TAKEN), (30, Fault.PART_ACKNOWLEDGED))
        await drive.put(document(document_id), content())
    assert len(the_file(local, top).content) >= 64 * MIB
    assert max(held) <= 2 * 2 * MIB + 1
    assert sum(request.is_of_session for request in local.faults.requests) >= 32


async def test_chunks_are_full_whatever_the_pieces(local: LocalDrive, top: File, drive: Drive) -> None:
    (document_id,) = await drive.reserve(1)
    local.faults.plan()
    await drive.put(document(document_id), pieces(*[b"x" * 1000] * (4 * CHUNK_BYTES // 1000)))
    assert sum(request.is_of_session for request in local.faults.requests) == 4


async def test_a_folder_in_a_users_own_drive(local: LocalDrive) -> None:
    """With the user's credentials."""
    folder = local.world.add("Reports", None, owner=USER)
    async with opened(local, folder, credentials_file=local.user_file) as drive:
        (document_id,) = await drive.reserve(1)
        await drive.put(document(document_id), pieces(b"1"))
    assert the_file(local, folder).owner == USER


async def test_a_service_account_that_acts_for_a_user(local: LocalDrive) -> None:
    folder = local.world.add("Reports", None, owner=DELEGATE)
    local.tokens.delegates.add(DELEGATE)
    async with opened(local, folder, subject=DELEGATE) as drive:
        (document_id,) = await drive.reserve(1)
        await drive.put(document(document_id), pieces(b"1"))
    assert the_file(local, folder).owner == DELEGATE


async def test_a_folder_below_the_top_of_a_shared_drive(local: LocalDrive) -> None:
    top = reports(local)
    folder = local.world.add("it's \\ ours", top.id)
    local.world.add("2026", top.id)
    async with opened(local, folder) as drive:
        (document_id,) = await drive.reserve(1)
        await drive.put(document(document_id), pieces(b"1"))
    assert the_file(local, folder).id == document_id


async def test_the_right_to_read_is_looked_for_on_all_pages(local: LocalDrive, top: File, drive: Drive) -> None:
    """And is not given a second time."""
    for number in range(7):
        local.world.share(top, f"{number}@example.com", "reader")
    top.permissions.append(Permission("anyoneWithLink", "anyone", "reader"))
    (document_id,) = await drive.reserve(1)
    await drive.put(document(document_id), pieces(b"1"))
    assert local.world.files[document_id].permissions == []


async def test_a_right_to_a_view_is_none_to_the_file(local: LocalDrive, top: File, drive: Drive) -> None:
    top.permissions.append(Permission("published", "anyone", "reader", view="published"))
    (document_id,) = await drive.reserve(1)
    await drive.put(document(document_id), pieces(b"1"))
    assert [right.id for right in local.world.files[document_id].permissions] == ["anyoneWithLink"]


async def test_the_right_to_read_is_given_again(local: LocalDrive, top: File, drive: Drive) -> None:
    (document_id,) = await drive.reserve(1)
    await drive.put(document(document_id), pieces(b"1"))
    local.world.files[document_id].permissions.clear()
    await drive.put(document(document_id), pieces(b"2"))
    assert the_file(local, top).id == document_id


@pytest.mark.parametrize("chunk_bytes", [0, 1000, 256 * 1024 + 1, -256 * 1024])
def test_chunks_have_a_unit(top: File, local: LocalDrive, chunk_bytes: int) -> None:
    with pytest.raises(ValueError, match="multiple of 262144"):
        Drive(top.id, local.credentials_file, chunk_bytes=chunk_bytes)


def _appear(local: LocalDrive, top: File, document_id: str, content: bytes) -> None:
    if document_id not in local.world.files:
        folder = next(file for file in inside(local, top) if file.mime_type == FOLDER)
        file = File(document_id, "theirs", "text/csv", [folder.id], local.world.now(), None, top.drive_id)
        file.content = content
        local.world.files[document_id] = file


def _appears_at_the_end(local: LocalDrive, top: File, document_id: str, content: bytes) -> Callable[[Request], None]:
    def another_worker(request: Request) -> None:
        if request.is_of_session:
            _appear(local, top, document_id, content)

    return another_worker
