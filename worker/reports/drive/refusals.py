"""What Drive's refusals mean here, and what a person can do about them: one literal table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from schemas.failures import StorageFailure
from worker.reports.storage import StorageError


class Meaning(NamedTuple):
    """A refusal in our terms; one that is not permanent is worth another try."""

    code: StorageFailure
    is_permanent: bool
    advice: str


CREDENTIALS: Final = "credentials"
DRIVE_UNAVAILABLE: Final = "drive_unavailable"
NOT_PUBLIC: Final = "not_public"
RATE_LIMITED: Final = "rate_limited"
REFUSED: Final = "refused"
STORAGE_QUOTA: Final = "storage_quota"

_SLOW_DOWN = "Drive asks for fewer requests. It is tried again; if it goes on, ask for a higher quota of the Drive API"
_ORGANISATION = (
    "The file is stored, but the organisation does not allow links for everybody. Let an administrator allow sharing "
    "outside of the organisation (Admin console: Apps, Google Workspace, Drive and Docs, Sharing settings), or use a "
    "folder of an account that may share; then make the report again"
)
_MEMBERS_ONLY = (
    "The file is stored, but its shared drive lets in its members or its organisation only. Let a manager of the "
    "shared drive allow access for others in the drive's settings; then make the report again"
)
_NO_RIGHT_TO_SHARE = (
    "The file is stored, but the account may not share it. Make the account content manager of the shared drive, or "
    "editor of the folder with the right to share; then make the report again"
)
_NOT_WRITABLE = (
    "The account may not write there. Make it content manager of the shared drive, or editor of the folder "
    "SEGMENTATION_REPORT_STORAGE"
)
_NO_STORAGE = (
    "There is no storage left for the file's owner. A service account owns no storage at all: use a folder in a shared "
    "drive, or let the service account act for a user (SEGMENTATION_GOOGLE_SUBJECT), or use a user's credentials; for "
    "a user whose storage is full, free some"
)
_API_DISABLED = "Enable the Google Drive API in the Google Cloud project of the credentials, and wait some minutes"
_SCOPE = (
    "The credentials do not cover the whole of Drive. Make them again with the scope "
    "https://www.googleapis.com/auth/drive"
)
_FOLDER_FULL = "The folder takes no more items. Name another one in SEGMENTATION_REPORT_STORAGE, or delete old files"
_DRIVE_FULL = "The shared drive takes no more items. Use another one, or delete old files and empty its trash"
_NOT_ACCEPTED = (
    "Drive does not accept the credentials. Make new ones, and name them in SEGMENTATION_GOOGLE_CREDENTIALS_FILE"
)
_DISABLED_ACCOUNT = "Google has disabled the account or its access to Drive. Ask its administrator"
_NO_APPS = "The organisation has switched off Drive for apps or users"
_GONE = "The file is not there, or the account can't see it. Share the folder with the account"

MEANINGS: Mapping[Meaning, Sequence[tuple[int, str]]] = {
    Meaning(NOT_PUBLIC, True, _MEMBERS_ONLY): [
        (400, "cannotShareTeamDriveTopFolderWithAnyoneOrDomains"),
        (403, "cannotShareTeamDriveTopFolderWithAnyoneOrDomains"),
        (403, "cannotShareTeamDriveWithNonGoogleAccounts"),
        (403, "teamDriveDomainUsersOnlyRestriction"),
        (403, "teamDriveMembersOnlyRestriction"),
        (403, "teamDriveTeamMembersOnlyRestriction"),
        (403, "teamDrivesSharingRestrictionNotAllowed"),
    ],
    Meaning(NOT_PUBLIC, True, _ORGANISATION): [
        (400, "invalidSharingRequest"),
        (400, "publishOutNotPermitted"),
        (400, "shareOutNotPermitted"),
        (403, "publishOutNotPermitted"),
        (403, "shareOutNotPermitted"),
    ],
    Meaning(NOT_PUBLIC, True, _NO_RIGHT_TO_SHARE): [(403, "sharingNotSupported")],
    Meaning(CREDENTIALS, True, _NOT_ACCEPTED): [(401, "authError"), (401, "required")],
    Meaning(CREDENTIALS, True, _SCOPE): [(403, "appNotAuthorizedToFile"), (403, "insufficientPermissions")],
    Meaning("api_disabled", True, _API_DISABLED): [(403, "accessNotConfigured")],
    Meaning("drive_full", True, _DRIVE_FULL): [
        (403, "activeItemCreationLimitExceeded"),
        (403, "teamDriveFileLimitExceeded"),
    ],
    Meaning("folder_full", True, _FOLDER_FULL): [
        (403, "numChildrenInNonRootLimitExceeded"),
        (403, "teamDriveHierarchyTooDeep"),
    ],
    Meaning("forbidden", True, _DISABLED_ACCOUNT): [(403, "accountDisabled")],
    Meaning("forbidden", True, _NO_APPS): [(403, "domainPolicy")],
    Meaning("forbidden", True, _NOT_WRITABLE): [
        (403, "forbidden"),
        (403, "insufficientFilePermissions"),
        (403, "insufficientParentPermissions"),
    ],
    Meaning("not_found", True, _GONE): [(404, "notFound")],
    Meaning(RATE_LIMITED, False, _SLOW_DOWN): [
        (403, "dailyLimitExceeded"),
        (403, "rateLimitExceeded"),
        (403, "sharingRateLimitExceeded"),
        (403, "userRateLimitExceeded"),
    ],
    Meaning(STORAGE_QUOTA, True, _NO_STORAGE): [(403, "quotaExceeded"), (403, "storageQuotaExceeded")],
}
REFUSALS: Mapping[tuple[int, str], Meaning] = {
    refusal: meaning for meaning, refusals in MEANINGS.items() for refusal in refusals
}
"""Statuses with their reasons, each of which has one meaning."""


def known(status: int, reason: str) -> Meaning | None:
    """The meaning, where we have one."""
    if (status, reason) in REFUSALS:
        return REFUSALS[status, reason]
    if status == 429:
        return Meaning(RATE_LIMITED, False, _SLOW_DOWN)
    if status >= 500 or status == 408:
        return Meaning(DRIVE_UNAVAILABLE, False, "Drive has a problem of its own. It is tried again")
    return None


def explained(status: int, reason: str, detail: str) -> StorageError:
    """As an error that says what to do, and what Drive said."""
    meaning = known(status, reason) or Meaning(REFUSED, True, "Drive refuses the request")
    said = f"Drive says: {detail or 'nothing'} [{status} {reason or 'without a reason'}]"
    return StorageError(meaning.code, f"{meaning.advice}. {said}", is_permanent=meaning.is_permanent)


def not_public(error: StorageError, link: str) -> StorageError:
    """What a refusal to share means for a document that is stored; one that passes stays one that passes."""
    if not error.is_permanent:
        return StorageError(error.code, error.message, is_permanent=False, detail=error.detail, link=link)
    advice = "" if error.code == NOT_PUBLIC else f"{_NO_RIGHT_TO_SHARE}. "
    return StorageError(NOT_PUBLIC, f"{advice}{error.message}", is_permanent=True, detail=error.detail, link=link)
