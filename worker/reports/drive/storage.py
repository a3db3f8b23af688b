"""Documents in a folder of Google Drive, each public under a link that stays."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from worker.reports.drive import check as drive_check
from worker.reports.drive.client import Client
from worker.reports.drive.folders import open_root, year_folder
from worker.reports.drive.public import make_public
from worker.reports.drive.requests import Pace, Requests
from worker.reports.drive.uploads import CHUNK_UNIT_BYTES, UploadLost, upload
from worker.reports.drive.window import Window
from worker.reports.storage import Document, DocumentLost, Finding, Storage, StorageError

CHUNK_BYTES = 8 * 1024 * 1024
REQUEST_SECONDS_MAX = 60.0
"""Without a byte going or coming."""
IDS_MAX = 1_000
"""Drive gives out so many at once."""
STATE = "id,parents,trashed,webViewLink,size,sha256Checksum"


class Drive(Storage):
    """The storage `drive:FOLDER_ID`."""

    def __init__(
        self,
        folder_id: str,
        credentials_file: Path,
        *,
        api_endpoint: str | None = None,
        subject: str | None = None,
        chunk_bytes: int = CHUNK_BYTES,
        request_seconds_max: float = REQUEST_SECONDS_MAX,
        pace: Pace | None = None,
    ) -> None:
        if chunk_bytes <= 0 or chunk_bytes % CHUNK_UNIT_BYTES:
            raise ValueError(f"chunk_bytes must be a multiple of {CHUNK_UNIT_BYTES}")
        self.name = f"drive:{folder_id}"
        self._folder_id, self._chunk_bytes = folder_id, chunk_bytes
        self._client = Client(
            credentials_file, api_endpoint=api_endpoint, subject=subject, request_seconds_max=request_seconds_max
        )
        self._requests = Requests(self._client, pace or Pace())

    async def reserve(self, count: int) -> Sequence[str]:
        """Ids of files that do not exist yet."""
        ids: list[str] = []
        while len(ids) < count:
            wanted = min(count - len(ids), IDS_MAX)
            answer = await self._requests.ask("files.generateIds", count=wanted, space="drive", fields="ids")
            ids += answer["ids"]
        return ids

    async def put(self, document: Document, content: AsyncIterator[bytes]) -> str:
        """Upload it into its year's folder, make it public, and see that it is."""
        root = await open_root(self._requests, self._folder_id)
        folder_id = await year_folder(self._requests, root, document.year)
        window = Window(content)
        try:
            await self._store(document, folder_id, window)
        except UploadLost:
            # what was lost may be the answer to the last byte alone: then Drive holds this very content
            found = await self._state(document)
            if not found or not _is_in_place(found, folder_id, window):
                raise
        else:
            found = await self._state(document)
            if not found or not _is_held(found, window):
                raise _damaged(document)
        link = str(found["webViewLink"])
        await make_public(self._requests, document.document_id, link)
        return link

    async def check(self, *, with_trial: bool) -> Sequence[Finding]:
        """Credentials, folder and rights; with a trial storage and sharing, too."""
        return await drive_check.check(self._requests, self._folder_id, with_trial=with_trial)

    async def close(self) -> None:
        """Close the connection."""
        await self._client.close()

    async def _store(self, document: Document, folder_id: str, window: Window) -> None:
        """Into the file that there is, or else into a new one."""
        body = {"name": document.name, "description": document.description, "mimeType": document.media_type}
        found = await self._state(document)
        if not found:
            new = body | {"id": document.document_id, "parents": [folder_id]}
            if await self._upload("files.create", document, window, body=new):
                return
            found = await self._state(document)  # somebody has created it just now
            if not found:
                raise _out_of_sight(document, self._client.account)
        arguments: dict[str, Any] = {"fileId": document.document_id, "body": body}
        if found.get("trashed"):
            arguments["body"] = body | {"trashed": False}
        parents = found.get("parents", [])
        if folder_id not in parents:
            arguments |= {"addParents": folder_id} | ({"removeParents": ",".join(parents)} if parents else {})
        await self._upload("files.update", document, window, **arguments)

    async def _upload(self, method: str, document: Document, window: Window, **arguments: Any) -> bool:
        return await upload(self._requests, method, window, document.media_type, self._chunk_bytes, **arguments)

    async def _state(self, document: Document) -> dict[str, Any] | None:
        """What Drive has under the document's id, as far as the account can see."""
        return await self._requests.find("files.get", fileId=document.document_id, fields=STATE)


def _is_held(found: dict[str, Any], window: Window) -> bool:
    """Whether Drive has what was sent, as far as it says."""
    return (
        int(found.get("size", 0)) == window.size_bytes and found.get("sha256Checksum", window.sha256) == window.sha256
    )


def _is_in_place(found: dict[str, Any], folder_id: str, window: Window) -> bool:
    """Whether Drive has all of the content for sure, where it belongs."""
    is_there = not found.get("trashed") and folder_id in found.get("parents", [])
    return is_there and window.size_bytes is not None and found.get("sha256Checksum") == window.sha256


def _damaged(document: Document) -> StorageError:
    return StorageError(
        "upload_damaged",
        f"What Drive holds as {document.name} is not what was sent. It is sent again; if it goes on, look who else "
        "writes this file",
        is_permanent=False,
    )


def _out_of_sight(document: Document, account: str) -> StorageError:
    return DocumentLost(
        f"The file {document.document_id} ({document.name}) was deleted for good, or {account} can't see it any more. "
        "Ask for the report again with `segmentation report YYYY-MM`: it becomes a new file, with a new link",
        document.document_id,
    )
