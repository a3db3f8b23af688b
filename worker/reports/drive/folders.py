"""The folder that the reports go to, and a folder in it for each year."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from worker.observability.logs import logger
from worker.reports.drive.requests import Requests, status_of
from worker.reports.storage import StorageError

log = logger(__name__)

FOLDER = "application/vnd.google-apps.folder"
ROOT_FIELDS = "id,name,mimeType,trashed,driveId,capabilities(canAddChildren)"


@dataclass(frozen=True, slots=True)
class Root:
    """The configured folder; `drive_id` is that of the shared drive it is in, None for somebody's own drive."""

    folder_id: str
    name: str
    drive_id: str | None
    can_add: bool


async def open_root(requests: Requests, folder_id: str) -> Root:
    """Look the folder up; raises StorageError with what to do if it can't be used."""
    found = await requests.find("files.get", fileId=folder_id, fields=ROOT_FIELDS)
    if found is None:
        raise StorageError(
            "folder_not_found",
            f"There is no folder {folder_id} that {requests.client.account} can see. Share the folder with it as an "
            "editor (in a shared drive: make it content manager), and take the id from the end of the folder's address",
            is_permanent=True,
        )
    if found["mimeType"] != FOLDER:
        raise StorageError(
            "not_a_folder",
            f"{found['name']!r} ({folder_id}) is a {found['mimeType']}, not a folder. Name a folder's id in "
            "SEGMENTATION_REPORT_STORAGE",
            is_permanent=True,
        )
    if found.get("trashed"):
        raise StorageError(
            "folder_trashed",
            f"The folder {found['name']!r} ({folder_id}) is in the trash, where Drive deletes it after 30 days. "
            "Restore it, or name another one in SEGMENTATION_REPORT_STORAGE",
            is_permanent=True,
        )
    can_add = bool(found.get("capabilities", {}).get("canAddChildren", True))
    return Root(folder_id, found["name"], found.get("driveId"), can_add)


async def year_folder(requests: Requests, root: Root, year: int) -> str:
    """The id of the year's folder, which is created if there is none.

    Drive lets two folders have one name. So whoever has created one looks again: the oldest is everybody's, and who
    made another one meanwhile puts it into the trash, unless something has been put into it already.
    """
    found = await _named(requests, root, str(year))
    if not found:
        own = await _create(requests, root, str(year))
        others = await _named(requests, root, str(year))
        # a list may lag behind: what was just created counts in any case
        found = {own["id"]: own["createdTime"]} | others
        if own["id"] != _oldest(found):
            await _withdraw(requests, root, own["id"])
    return _oldest(found)


async def _named(requests: Requests, root: Root, name: str) -> dict[str, str]:
    """Folders of that name: their creation times by id."""
    query = f"{_quoted(root.folder_id)} in parents and name = {_quoted(name)} and mimeType = '{FOLDER}'"
    return {folder["id"]: folder["createdTime"] for folder in await _listed(requests, root, query)}


async def _listed(requests: Requests, root: Root, query: str) -> Sequence[dict[str, Any]]:
    where = {"corpora": "drive", "driveId": root.drive_id} if root.drive_id else {"corpora": "user"}
    return await requests.pages(
        "files.list",
        "files",
        fields="id,createdTime",
        q=f"{query} and trashed = false",
        includeItemsFromAllDrives=True,
        spaces="drive",
        pageSize=100,
        **where,
    )


async def _create(requests: Requests, root: Root, name: str) -> dict[str, Any]:
    """With an id taken beforehand, so that a second try after a lost answer makes no second folder."""
    folder_id = (await requests.ask("files.generateIds", count=1, space="drive", fields="ids"))["ids"][0]
    body = {"id": folder_id, "name": name, "mimeType": FOLDER, "parents": [root.folder_id]}
    try:
        return await requests.ask("files.create", body=body, fields="id,createdTime")
    except StorageError as error:
        if status_of(error) != 409:
            raise
        return await requests.ask("files.get", fileId=folder_id, fields="id,createdTime")


async def _withdraw(requests: Requests, root: Root, folder_id: str) -> None:
    if not await _listed(requests, root, f"{_quoted(folder_id)} in parents"):
        log.info("another worker has created the year's folder, too", folder=folder_id)
        await requests.ask("files.update", fileId=folder_id, body={"trashed": True}, fields="id")


def _oldest(folders: Mapping[str, str]) -> str:
    return min(folders, key=lambda folder_id: (folders[folder_id], folder_id))


def _quoted(text: str) -> str:
    """As a value in a query."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
