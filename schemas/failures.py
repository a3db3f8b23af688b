"""The codes of `report.failed`. Clients branch on them, so a code is never renamed; docs/ says what to do for each."""

from typing import Literal

RequestFailure = Literal["month_not_begun", "before_journal", "journal_dropped"]
"""Why there can be no report of a month, whatever the storage."""

MakingFailure = Literal["database_unavailable", "failed", "inconsistent", "page_failed"]
"""Why the rows or the page could not be made."""

StorageFailure = Literal[
    "api_disabled",
    "client_incomplete",
    "credentials",
    "delegation_refused",
    "directory_not_writable",
    "document_lost",
    "drive_full",
    "drive_unavailable",
    "folder_full",
    "folder_not_found",
    "folder_trashed",
    "forbidden",
    "not_a_folder",
    "not_found",
    "not_public",
    "rate_limited",
    "refused",
    "storage_quota",
    "token_expired",
    "upload_damaged",
    "upload_lost",
]
"""Why a document could not be stored or made public."""

FailureCode = RequestFailure | MakingFailure | StorageFailure


def journal_dropped(month: str) -> str:
    """Why there can be no report of a month (`YYYY-MM`) whose journal is gone."""
    return (
        f"The journal of {month} was dropped after SEGMENTATION_JOURNAL_RETENTION; `segmentation reports` has the link "
        "of the report that was made before."
    )
