"""The right of anyone with the link to read a document."""

from __future__ import annotations

from worker.reports.drive.refusals import NOT_PUBLIC, not_public
from worker.reports.drive.requests import Requests
from worker.reports.storage import StorageError

READERS = frozenset({"reader", "commenter", "writer", "fileOrganizer", "organizer", "owner"})


async def make_public(requests: Requests, document_id: str, link: str) -> None:
    """Let anyone with the link read it, and look whether that is so; raises StorageError with the link if not."""
    try:
        if await _is_public(requests, document_id):
            return
        body = {"type": "anyone", "role": "reader", "allowFileDiscovery": False}
        await requests.ask("permissions.create", fileId=document_id, body=body, fields="id")
        if await _is_public(requests, document_id):
            return
    except StorageError as error:
        raise not_public(error, link) from error
    raise StorageError(
        NOT_PUBLIC,
        "The file is stored, and Drive has taken the request to let everybody with the link read it, but does not list "
        "that right. Look at the file's sharing settings; then make the report again",
        is_permanent=True,
        link=link,
    )


async def _is_public(requests: Requests, document_id: str) -> bool:
    rights = await requests.pages(
        "permissions.list", "permissions", fields="type,role,view", fileId=document_id, pageSize=100
    )
    # a right with a view is not one to the file itself
    return any(right["type"] == "anyone" and right["role"] in READERS and "view" not in right for right in rights)
