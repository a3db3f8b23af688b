"""What Drive and Google refuse, in words that say what to do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.reports.drives import inside, opened, reports, stranger_file, the_file
from tests.integration.reports.places import document, pieces
from tests.support.drive import DELEGATE, SERVICE, USER, ApiError, File, LocalDrive
from tests.support.drive.faults import Request
from worker.reports.drive.storage import Drive
from worker.reports.storage import StorageError

POLICIES = [
    (403, "publishOutNotPermitted"),
    (400, "publishOutNotPermitted"),
    (400, "invalidSharingRequest"),
    (403, "teamDriveDomainUsersOnlyRestriction"),
    (403, "cannotShareTeamDriveTopFolderWithAnyoneOrDomains"),
    (403, "insufficientFilePermissions"),
    (403, "forbidden"),
    (400, "neverHeardOf"),
]


async def refused(drive: Drive, document_id: str = "1" + "a" * 32) -> StorageError:
    """What a put ends with."""
    with pytest.raises(StorageError) as caught:
        await drive.put(document(document_id), pieces(b"content"))
    return caught.value


@pytest.mark.parametrize(("status", "reason"), POLICIES)
async def test_a_file_that_may_not_be_public_is_kept(
    local: LocalDrive, top: File, drive: Drive, status: int, reason: str
) -> None:
    local.world.sharing_refusal = ApiError(status, reason, "The organisation says no.")
    (document_id,) = await drive.reserve(1)
    error = await refused(drive, document_id)
    assert (error.code, error.is_permanent) == ("not_public", True)
    assert error.link == f"{local.endpoint}/file/d/{document_id}/view?usp=drivesdk"
    assert "The organisation says no." in str(error)
    assert "make the report again" in str(error)
    assert local.world.files[document_id].content == b"content"
    local.world.sharing_refusal = None
    assert await drive.put(document(document_id), pieces(b"content")) == error.link
    assert the_file(local, top).id == document_id


async def test_sharing_that_is_refused_for_a_while_is_tried_again_later(local: LocalDrive, drive: Drive) -> None:
    local.world.sharing_refusal = ApiError(403, "sharingRateLimitExceeded", "Slowly.")
    (document_id,) = await drive.reserve(1)
    error = await refused(drive, document_id)
    assert (error.code, error.is_permanent) == ("rate_limited", False)
    assert error.link


async def test_a_right_that_drive_takes_but_does_not_give_is_noticed(local: LocalDrive, drive: Drive) -> None:
    local.world.is_sharing_void = True
    (document_id,) = await drive.reserve(1)
    error = await refused(drive, document_id)
    assert (error.code, error.is_permanent) == ("not_public", True)
    assert error.link


async def test_the_folder_must_be_seen(local: LocalDrive, top: File) -> None:
    hidden = local.world.add("Reports", None, owner=USER)
    for folder in (hidden, File("1none", "", "", [], "", None)):
        async with opened(local, folder) as drive:
            error = await refused(drive)
        assert (error.code, error.is_permanent) == ("folder_not_found", True)
        assert SERVICE in str(error)
        assert folder.id in str(error)


async def test_the_folder_must_be_one(local: LocalDrive, top: File) -> None:
    async with opened(local, local.world.add("a.csv", top.id, mime_type="text/csv")) as drive:
        error = await refused(drive)
    assert (error.code, error.is_permanent) == ("not_a_folder", True)
    assert "'a.csv'" in str(error)


async def test_the_folder_must_not_be_in_the_trash(local: LocalDrive, top: File) -> None:
    folder = local.world.add("Reports", local.world.add("above", top.id).id)
    local.world.files[folder.parents[0]].is_trashed = True
    async with opened(local, folder) as drive:
        error = await refused(drive)
    assert (error.code, error.is_permanent) == ("folder_trashed", True)


async def test_a_service_account_has_no_storage(local: LocalDrive) -> None:
    folder = local.world.add("Reports", None, owner=USER)
    local.world.share(folder, SERVICE, "writer")
    async with opened(local, folder) as drive:
        error = await refused(drive, (await drive.reserve(1))[0])
    assert (error.code, error.is_permanent) == ("storage_quota", True)
    assert "shared drive" in str(error)
    assert "SEGMENTATION_GOOGLE_SUBJECT" in str(error)


async def test_a_users_storage_may_be_full_at_the_end_of_an_upload(local: LocalDrive) -> None:
    folder = local.world.add("Reports", None, owner=USER)
    local.world.accounts[USER].quota_bytes = 1_000_000
    async with opened(local, folder, credentials_file=local.user_file) as drive:
        (document_id,) = await drive.reserve(1)
        with pytest.raises(StorageError) as caught:
            await drive.put(document(document_id), pieces(b"x" * 1_000_001))
    assert (caught.value.code, caught.value.is_permanent) == ("storage_quota", True)
    assert document_id not in local.world.files


async def test_a_reader_may_not_write(local: LocalDrive) -> None:
    async with opened(local, reports(local, "reader")) as drive:
        error = await refused(drive, (await drive.reserve(1))[0])
    assert (error.code, error.is_permanent) == ("forbidden", True)
    assert "content manager" in str(error)


async def test_a_file_that_another_account_hides(local: LocalDrive, drive: Drive) -> None:
    """Its id is taken, but it can't be seen."""
    hidden = local.world.add("2026-10.csv", None, owner=USER, mime_type="text/csv")
    error = await refused(drive, hidden.id)
    assert (error.code, error.is_permanent) == ("document_lost", True)


async def test_an_id_that_drive_did_not_give_out(local: LocalDrive, top: File, drive: Drive) -> None:
    error = await refused(drive, "of-my-own")
    assert (error.code, error.is_permanent) == ("refused", True)
    assert "The provided file ID is not usable." in str(error)
    assert [file.name for file in inside(local, top)] == ["2026"]


@pytest.mark.parametrize(
    ("answer", "code", "advice"),
    [
        (ApiError(403, "accessNotConfigured", "Drive API is off."), "api_disabled", "Enable the Google Drive API"),
        (ApiError(403, "insufficientPermissions", "Scopes."), "credentials", "auth/drive"),
        (ApiError(403, "domainPolicy", "No apps."), "forbidden", "switched off Drive"),
        (ApiError(403, "teamDriveFileLimitExceeded", "Full."), "drive_full", "empty its trash"),
        (ApiError(403, "neverHeardOf", "Because."), "refused", "Because. [403 neverHeardOf]"),
    ],
)
async def test_other_refusals(local: LocalDrive, drive: Drive, answer: ApiError, code: str, advice: str) -> None:
    local.before = _answering(answer)
    error = await refused(drive)
    assert (error.code, error.is_permanent) == (code, True)
    assert advice in str(error)


async def test_an_answer_that_is_no_json_is_refused_as_well(local: LocalDrive, drive: Drive) -> None:
    class Page(ApiError):
        def body(self) -> bytes:
            return b"<html>Forbidden</html>"

    local.before = _answering(Page(403, "", ""))
    error = await refused(drive)
    assert (error.code, error.is_permanent) == ("refused", True)


async def test_a_consent_that_is_over(local: LocalDrive, top: File) -> None:
    local.tokens.is_consent_over = True
    for credentials_file in (local.credentials_file, local.user_file):
        async with opened(local, top, credentials_file=credentials_file) as drive:
            error = await refused(drive)
        assert (error.code, error.is_permanent) == ("token_expired", True)
        assert "give it again" in str(error)
        _keeps_secrets(local, error)


async def test_a_consent_that_ends_in_between(local: LocalDrive, drive: Drive) -> None:
    (document_id,) = await drive.reserve(1)
    local.tokens.is_consent_over = True
    local.tokens.live.clear()
    assert (await refused(drive, document_id)).code == "token_expired"


async def test_a_key_that_is_not_the_accounts(local: LocalDrive, top: File, tmp_path: Path) -> None:
    info = json.loads(local.credentials_file.read_text(encoding="utf-8"))
    info["client_email"] = "nobody@project.iam.gserviceaccount.com"
    async with opened(local, top, credentials_file=stranger_file(tmp_path, json.dumps(info))) as drive:
        error = await refused(drive)
    assert error.code == "token_expired"
    assert "account not found" in str(error)


async def test_acting_for_a_user_must_be_allowed(local: LocalDrive, top: File) -> None:
    async with opened(local, top, subject=DELEGATE) as drive:
        error = await refused(drive)
    assert (error.code, error.is_permanent) == ("delegation_refused", True)
    assert DELEGATE in str(error)
    assert DELEGATE not in error.message


async def test_a_client_that_google_does_not_know(local: LocalDrive, top: File) -> None:
    local.tokens.client_secret = "another"
    async with opened(local, top, credentials_file=local.user_file) as drive:
        error = await refused(drive)
    assert (error.code, error.is_permanent) == ("credentials", True)
    assert "The OAuth client was not found." in str(error)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda path: path.unlink(), "No such file"),
        (lambda path: path.write_text("SECRET no json"), "not JSON"),
        (lambda path: path.write_bytes(b"\xff\xfeSECRET"), "not JSON"),
        (lambda path: path.write_text('{"type": {"SECRET": 1}}'), "neither"),
        (lambda path: path.write_text('{"type": "SECRET"}'), "neither"),
        (lambda path: path.write_text('["SECRET"]'), "no JSON object"),
        (lambda path: path.write_text('{"type": "external_account"}'), "'external_account'"),
        (lambda path: path.write_text('{"installed": {"client_secret": "SECRET"}}'), "OAuth client"),
        (lambda path: path.write_text('{"type": "service_account", "private_key": "SECRET"}'), "client_email"),
        (lambda path: path.write_text('{"type": "authorized_user", "refresh_token": "SECRET"}'), "client_secret"),
        (lambda path: path.write_text(path.read_text().replace("MII", "SECRET")), "a field does not hold"),
    ],
    ids=range(11),
)
async def test_credentials_must_be_some(
    local: LocalDrive, drive: Drive, change: Callable[[Path], object], why: str
) -> None:
    change(local.credentials_file)
    error = await refused(drive)
    assert (error.code, error.is_permanent) == ("credentials", True)
    assert why in str(error)
    assert "SEGMENTATION_GOOGLE_CREDENTIALS_FILE" in str(error)
    assert "SECRET" not in str(error)
    assert str(local.credentials_file) not in error.message


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
async def test_credentials_may_have_a_byte_order_mark(local: LocalDrive, drive: Drive, encoding: str) -> None:
    local.credentials_file.write_text(local.credentials_file.read_text(encoding="utf-8"), encoding=encoding)
    assert len(await drive.reserve(1)) == 1


async def test_a_user_acts_for_nobody_else(local: LocalDrive, top: File) -> None:
    async with opened(local, top, credentials_file=local.user_file, subject=DELEGATE) as drive:
        error = await refused(drive)
    assert error.code == "credentials"
    assert "SEGMENTATION_GOOGLE_SUBJECT" in str(error)


def _answering(answer: ApiError) -> Callable[[Request], None]:
    def before(request: Request) -> None:
        if request.path != "/token":
            raise answer

    return before


def _keeps_secrets(local: LocalDrive, error: StorageError) -> None:
    assert local.tokens.refresh_token not in str(error)
    assert local.tokens.client_secret not in str(error)
    assert "PRIVATE KEY" not in str(error)
