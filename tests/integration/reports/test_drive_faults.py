"""Each fault at each request in turn: the end is one complete public file, at once or with the next try."""

from __future__ import annotations

import asyncio
import dataclasses
import random

import pytest

from tests.integration.reports.drives import PACE, TRIES_MAX, inside, opened, the_file
from tests.integration.reports.places import document, pieces
from tests.support.drive import OF_CHUNKS, Fault, File, LocalDrive
from tests.support.drive.faults import Request
from worker.reports.drive.storage import Drive
from worker.reports.storage import StorageError

OLD, NEW = random.Random(1).randbytes(600_000), random.Random(2).randbytes(700_000)
LOST = (Fault.SESSION_NOT_FOUND, Fault.SESSION_GONE)
"""Faults after which the content has to be had once more."""
SLOW_SECONDS = 0.4
REQUESTS_MAX = 40


@pytest.mark.parametrize("fault", Fault, ids=lambda fault: fault.name.lower())
async def test_a_new_file_survives(local: LocalDrive, top: File, fault: Fault) -> None:
    async with opened(local, top, **_limits(fault)) as drive:
        local.faults.slow_seconds = SLOW_SECONDS
        await drive.reserve(1)  # has the access token, which is a request of its own
        for number in range(REQUESTS_MAX):
            for file in inside(local, top):
                file.is_trashed = True
            document_id = (await drive.reserve(1))[0]
            files = len(local.world.files)
            local.faults.plan((number, fault))
            await _put(drive, document_id, fault)
            _check(local, top, document_id)
            assert len(local.world.files) == files + 2  # nothing more in the trash, either
            if len(local.faults.requests) <= number:
                break
        assert 12 < number < REQUESTS_MAX


@pytest.mark.parametrize("fault", Fault, ids=lambda fault: fault.name.lower())
async def test_a_later_edition_survives(local: LocalDrive, top: File, fault: Fault) -> None:
    async with opened(local, top, **_limits(fault)) as drive:
        local.faults.slow_seconds = SLOW_SECONDS
        (document_id,) = await drive.reserve(1)
        for number in range(REQUESTS_MAX):
            local.faults.plan()
            await drive.put(document(document_id), pieces(OLD))
            local.faults.plan((number, fault))
            await _put(drive, document_id, fault)
            _check(local, top, document_id)
            if len(local.faults.requests) <= number:
                break
        assert 6 < number < REQUESTS_MAX


@pytest.mark.parametrize(
    "fault", [one for one in Fault if one not in OF_CHUNKS | {Fault.UNAUTHORIZED}], ids=lambda fault: fault.name.lower()
)
async def test_getting_a_token_survives(local: LocalDrive, top: File, fault: Fault) -> None:
    async with opened(local, top, **_limits(fault)) as drive:
        local.faults.slow_seconds = SLOW_SECONDS
        local.faults.plan((0, fault))
        assert len(await drive.reserve(1)) == 1
    assert local.faults.requests[0].path == "/token"


@pytest.mark.parametrize("seed", range(8))
async def test_many_faults_are_survived_or_said(local: LocalDrive, top: File, drive: Drive, seed: int) -> None:
    """One request in four fails, whatever it is."""
    chance = random.Random(seed)
    kinds = sorted(set(Fault) - {Fault.SLOW}, key=lambda fault: fault.name)
    (document_id,) = await drive.reserve(1)
    local.faults.plan(*((number, chance.choice(kinds)) for number in range(400) if chance.random() < 0.25))
    for _ in range(20):
        try:
            await drive.put(document(document_id), pieces(*_odd(chance)))
            break
        except StorageError as error:
            assert not error.is_permanent, error
            for file in inside(local, top):
                assert file.name == "2026" or file.content == NEW
    _check(local, top, document_id)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault.UNAVAILABLE, "drive_unavailable"),
        (Fault.INTERNAL_ERROR, "drive_unavailable"),
        (Fault.NOT_READ, "drive_unavailable"),
        (Fault.NOT_ANSWERED, "drive_unavailable"),
        (Fault.TOO_MANY_REQUESTS, "rate_limited"),
        (Fault.RATE_LIMIT, "rate_limited"),
        (Fault.USER_RATE_LIMIT, "rate_limited"),
    ],
)
async def test_what_goes_on_is_given_up(local: LocalDrive, drive: Drive, fault: Fault, code: str) -> None:
    await drive.reserve(1)
    local.faults.plan(always=fault)
    with pytest.raises(StorageError) as caught:
        await drive.put(document("any"), pieces(NEW))
    assert (caught.value.code, caught.value.is_permanent) == (code, False)
    assert len(local.faults.requests) == TRIES_MAX


@pytest.mark.parametrize("fault", [Fault.UNAVAILABLE, Fault.NOTHING_TAKEN], ids=lambda fault: fault.name.lower())
async def test_an_upload_without_progress_is_given_up(local: LocalDrive, drive: Drive, fault: Fault) -> None:
    (document_id,) = await drive.reserve(1)
    local.faults.plan(always=fault, only_sessions=True)
    with pytest.raises(StorageError) as caught:
        await drive.put(document(document_id), pieces(NEW))
    assert (caught.value.code, caught.value.is_permanent) == ("drive_unavailable", False)
    assert document_id not in local.world.files


async def test_tries_are_counted_anew_when_something_goes_forward(local: LocalDrive, top: File, drive: Drive) -> None:
    """More faults in all than tries: after each, a part of the chunk has arrived."""
    (document_id,) = await drive.reserve(1)
    local.faults.plan(*((number, Fault.PART_TAKEN) for number in range(9, 47, 2)))
    content = random.Random(3).randbytes(6_000_000)
    await drive.put(document(document_id), pieces(content))
    assert the_file(local, top).content == content


async def test_bytes_that_drive_has_lost_are_not_made_up(local: LocalDrive, top: File, drive: Drive) -> None:
    """It asks for what it had acknowledged, and what is not held any more."""
    (document_id,) = await drive.reserve(1)
    local.faults.plan((8, Fault.UNAVAILABLE))

    def forget(request: Request) -> None:
        if request.is_of_session and len(local.faults.requests) == 10:
            next(iter(local.uploads.sessions.values())).received.clear()

    local.before = forget
    with pytest.raises(StorageError) as caught:
        await drive.put(document(document_id), pieces(NEW))
    assert (caught.value.code, caught.value.is_permanent) == ("upload_lost", False)
    assert document_id not in local.world.files
    await drive.put(document(document_id), pieces(NEW))
    _check(local, top, document_id)


async def test_the_loop_goes_on_while_drive_is_slow(local: LocalDrive, drive: Drive) -> None:
    await drive.reserve(1)
    local.faults.slow_seconds = 0.5
    local.faults.plan((0, Fault.SLOW))
    task = asyncio.create_task(drive.reserve(1))
    turns = 0
    while not task.done():
        await asyncio.sleep(0.01)
        turns += 1
    assert turns > 10


async def test_who_is_cancelled_does_not_wait_for_drive(local: LocalDrive, top: File) -> None:
    async with opened(local, top) as drive:
        await drive.reserve(1)
        local.faults.slow_seconds = 5
        local.faults.plan((0, Fault.SLOW))
        task = asyncio.create_task(drive.reserve(1))
        while not local.faults.requests:
            await asyncio.sleep(0.01)
        task.cancel()
        async with asyncio.timeout(2):
            with pytest.raises(asyncio.CancelledError):
                await task
            assert len(await drive.reserve(1)) == 1


def _limits(fault: Fault) -> dict[str, object]:
    """One fault costs one try, no more. Only a slow machine may be slow more often."""
    if fault is Fault.SLOW:
        return {"request_seconds_max": 0.25}
    return {"pace": dataclasses.replace(PACE, tries_max=2)}


async def _put(drive: Drive, document_id: str, fault: Fault) -> None:
    """At once; only where an upload's session is lost, the caller has to come again."""
    try:
        link = await drive.put(document(document_id), pieces(NEW))
    except StorageError as error:
        assert fault in LOST
        assert (error.code, error.is_permanent) == ("upload_lost", False)
        link = await drive.put(document(document_id), pieces(NEW))
    assert document_id in link


def _check(local: LocalDrive, top: File, document_id: str) -> None:
    file = the_file(local, top)
    assert file.id == document_id
    assert file.content == NEW


def _odd(chance: random.Random) -> list[bytes]:
    cuts = sorted(chance.sample(range(len(NEW)), 9))
    return [NEW[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(NEW)], strict=True)]
