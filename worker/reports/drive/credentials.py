"""The file with Google's credentials: what it holds, and what is wrong with it in words for a person."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from worker.reports.drive.refusals import CREDENTIALS
from worker.reports.storage import StorageError

SCOPE = "https://www.googleapis.com/auth/drive"
SERVICE_ACCOUNT_FIELDS = frozenset({"client_email", "private_key", "token_uri"})
AUTHORISED_USER_FIELDS = frozenset({"client_id", "client_secret", "refresh_token"})
OTHER_KINDS = ("external_account", "external_account_authorized_user", "impersonated_service_account")
"""Kinds that Google has, too; no other value of the field is repeated, since the file may be anything."""


def read(path: Path) -> dict[str, Any]:
    """The JSON object in it; raises StorageError, without a word of what stands there."""
    try:
        info = json.loads(path.read_bytes())  # finds the encoding, also behind a byte order mark
    except OSError as error:
        raise unusable(path, f"it can't be read: {error.strerror}") from None
    except ValueError:
        raise unusable(path, "it is not JSON") from None  # the parser's error would carry the text
    if not isinstance(info, dict):
        raise unusable(path, "it holds no JSON object")
    return info


def unusable(path: Path, why: str) -> StorageError:
    """For credentials that can never work."""
    advice = "SEGMENTATION_GOOGLE_CREDENTIALS_FILE must name the JSON of a service account or an authorised user"
    message = f"The Google credentials can't be used: {why}. {advice}"
    return StorageError(CREDENTIALS, message, is_permanent=True, detail=str(path))


def unknown_kind(path: Path, info: dict[str, Any]) -> StorageError:
    """For JSON that is neither kind of credentials."""
    if "installed" in info or "web" in info:
        why = (
            "they are an OAuth client's, which can only ask a user for consent: docs/google-drive.md has the next step"
        )
    elif "type" not in info:
        why = 'they have no "type"'
    elif info["type"] in OTHER_KINDS:
        why = f'their "type" is {info["type"]!r}, not service_account or authorized_user'
    else:
        why = 'their "type" is neither service_account nor authorized_user'
    return unusable(path, why)


def missing(info: dict[str, Any], names: Iterable[str]) -> str:
    """Which of the fields are not there; what the others hold is not told."""
    lacking = sorted(name for name in names if not isinstance(info.get(name), str))
    return f"they lack the fields {', '.join(lacking)}" if lacking else "a field does not hold what it must"


def refused(path: Path, account: str, subject: str | None, error: str, said: str) -> StorageError:
    """What the token endpoint's `error` means."""
    match error:
        case "invalid_grant":
            advice = (
                "Google gives the account no access any more. A user's consent was taken back or has expired (after "
                "7 days while the app is in testing): give it again. A service account's key was deleted, its subject "
                "does not exist, or this machine's clock is wrong"
            )
            return StorageError(
                "token_expired", f"{advice}. Google says: {said}", is_permanent=True, detail=f"account {account}"
            )
        case "unauthorized_client" | "access_denied" if subject:
            advice = (
                "The service account may not act for the user in SEGMENTATION_GOOGLE_SUBJECT. Let an administrator of "
                f"Google Workspace allow its client id the scope {SCOPE} under domain-wide delegation"
            )
            return StorageError(
                "delegation_refused", f"{advice}. Google says: {said}", is_permanent=True, detail=f"user {subject}"
            )
        case _:
            return unusable(path, f"Google says: {said}")
