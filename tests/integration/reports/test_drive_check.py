"""What the check finds, and that it leaves nothing behind."""

from __future__ import annotations

import pytest

from tests.integration.reports.drives import inside, opened, reports
from tests.support.drive import SERVICE, USER, ApiError, Fault, File, LocalDrive
from worker.reports.drive.storage import Drive
from worker.reports.storage import Finding


async def findings(local: LocalDrive, folder: File, **others: object) -> dict[str, Finding]:
    """By what they are about."""
    async with opened(local, folder, **others) as drive:
        return {finding.what: finding for finding in await drive.check(with_trial=True)}


def bad(found: dict[str, Finding]) -> list[str]:
    """What would make a report fail."""
    return [what for what, finding in found.items() if not finding.is_good]


@pytest.mark.parametrize(("role", "trashed"), [("organizer", 0), ("fileOrganizer", 1)])
async def test_all_is_good(local: LocalDrive, role: str, trashed: int) -> None:
    """A manager may delete the test file, a content manager may put it into the trash."""
    top = reports(local, role)
    found = await findings(local, top)
    assert list(found) == ["credentials", "folder", "storage", "sharing", "clean-up"]
    assert bad(found) == []
    assert SERVICE in found["credentials"].message
    assert f"shared drive {top.id}" in found["folder"].message
    assert inside(local, top) == []
    assert sum(file.is_trashed for file in local.world.files.values()) == trashed


async def test_all_is_good_in_a_users_own_drive(local: LocalDrive) -> None:
    folder = local.world.add("Reports", None, owner=USER)
    found = await findings(local, folder, credentials_file=local.user_file)
    assert bad(found) == []
    assert USER in found["credentials"].message
    assert "My Drive" in found["folder"].message
    assert inside(local, folder) == []


async def test_who_may_not_remove_the_test_file_is_told(local: LocalDrive) -> None:
    top = reports(local, "writer")
    found = await findings(local, top)
    assert bad(found) == ["clean-up"]
    assert "by hand" in found["clean-up"].message
    assert "content manager" in found["clean-up"].message


async def test_no_credentials(local: LocalDrive, top: File) -> None:
    local.credentials_file.unlink()
    found = await findings(local, top)
    assert list(found) == bad(found) == ["credentials"]


async def test_no_folder(local: LocalDrive) -> None:
    found = await findings(local, File("1none", "", "", [], "", None))
    assert list(found) == ["credentials", "folder"]
    assert bad(found) == ["folder"]
    assert SERVICE in found["folder"].message


async def test_no_right_to_add(local: LocalDrive) -> None:
    found = await findings(local, reports(local, "reader"))
    assert bad(found) == ["rights"]
    assert "content manager" in found["rights"].message


async def test_no_storage(local: LocalDrive) -> None:
    folder = local.world.add("Reports", None, owner=USER)
    local.world.share(folder, SERVICE, "writer")
    found = await findings(local, folder)
    assert bad(found) == ["storage"]
    assert "SEGMENTATION_GOOGLE_SUBJECT" in found["storage"].message
    assert "My Drive" in found["folder"].message
    assert inside(local, folder) == []


async def test_no_sharing(local: LocalDrive, top: File) -> None:
    local.world.sharing_refusal = ApiError(403, "publishOutNotPermitted", "No.")
    found = await findings(local, top)
    assert bad(found) == ["sharing"]
    assert found["clean-up"].is_good
    assert inside(local, top) == []


async def test_no_drive(local: LocalDrive, top: File) -> None:
    local.faults.plan(*((number, Fault.UNAVAILABLE) for number in range(1, 100)))
    found = await findings(local, top)
    assert list(found) == bad(found) == ["credentials"]


async def test_faults_in_between(local: LocalDrive, top: File) -> None:
    """Whatever is found, it is said and nothing is left."""
    for number in range(1, 12):
        local.faults.plan(*((at, Fault.INTERNAL_ERROR) for at in range(number, number + 5)))
        found = await findings(local, top)
        assert len(bad(found)) == 1
        assert inside(local, top) == [] or bad(found) == ["clean-up"]
        for file in inside(local, top):
            file.is_trashed = True


async def test_without_a_trial_nothing_is_written(local: LocalDrive, top: File, drive: Drive) -> None:
    found = await drive.check(with_trial=False)
    assert [finding.what for finding in found if finding.is_good] == ["credentials", "folder"]
    assert {request.verb for request in local.faults.requests if request.path != "/token"} == {"GET"}
    assert inside(local, top) == []
