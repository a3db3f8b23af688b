"""The file with Google's credentials: what it holds, and what is wrong with it in words for a person."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from worker.reports.drive.refusals import CREDENTIALS
from worker.reports.storage import StorageError

SCOPE = "https://www.googleapis.com/auth/drive"


def read(path: Path) -> dict[str, Any]:
    """The JSON object in it; raises StorageError, without a word of what stands there."""
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
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
    return StorageError(CREDENTIALS, f"Can't use the Google credentials in {path}: {why}. {advice}", is_permanent=True)


def refused(path: Path, account: str, subject: str | None, error: str, said: str) -> StorageError:
    """What the token endpoint's `error` means."""
    match error:
        case "invalid_grant":
            advice = (
                f"Google gives no access for {account} any more. A user's consent was taken back or has expired (after "
                "7 days while the app is in testing): give it again. A service account's key was deleted, its subject "
                "does not exist, or this machine's clock is wrong"
            )
            return StorageError("token_expired", f"{advice}. Google says: {said}", is_permanent=True)
        case "unauthorized_client" | "access_denied" if subject:
            advice = (
                f"The service account may not act for {subject}. Let an administrator of Google Workspace allow its "
                f"client id the scope {SCOPE} under domain-wide delegation"
            )
            return StorageError("delegation_refused", f"{advice}. Google says: {said}", is_permanent=True)
        case _:
            return unusable(path, f"Google says: {said}")
