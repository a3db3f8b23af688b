"""Whether a folder of Drive can take reports; in a trial, everything that one needs is really done, and undone."""

from __future__ import annotations

from collections.abc import AsyncIterator

from worker.reports.drive.folders import Root, open_root
from worker.reports.drive.public import make_public
from worker.reports.drive.requests import Requests, status_of
from worker.reports.drive.uploads import CHUNK_UNIT_BYTES, upload
from worker.reports.drive.window import Window
from worker.reports.storage import Finding, StorageError

NAME = "segmentation check (may be deleted)"
MEDIA_TYPE = "text/plain"


async def check(requests: Requests, folder_id: str, *, with_trial: bool) -> list[Finding]:
    """One finding after the other, up to the first without which the rest makes no sense."""
    findings: list[Finding] = []
    what = "credentials"
    try:
        about = await requests.ask("about.get", fields="user(emailAddress)")
        account = about["user"].get("emailAddress") or requests.client.account
        findings.append(Finding(what, True, f"Google lets us in as {account}"))
        what = "folder"
        root = await open_root(requests, folder_id)
        findings.append(Finding(what, True, _place(root, account)))
        if not root.can_add:
            return [*findings, Finding("rights", False, _no_right(root, account))]
        if not with_trial:
            return findings
        what = "test file"
        probe = (await requests.ask("files.generateIds", count=1, space="drive", fields="ids"))["ids"][0]
    except StorageError as error:
        return [*findings, Finding(what, False, str(error))]
    return findings + await _probed(requests, root, probe)


async def _probed(requests: Requests, root: Root, probe: str) -> list[Finding]:
    findings: list[Finding] = []
    what = "storage"
    try:
        body = {"id": probe, "name": NAME, "mimeType": MEDIA_TYPE, "parents": [root.folder_id]}
        await upload(requests, "files.create", Window(_content()), MEDIA_TYPE, CHUNK_UNIT_BYTES, body=body)
        findings.append(Finding(what, True, "a file can be stored"))
        what = "sharing"
        link = (await requests.ask("files.get", fileId=probe, fields="webViewLink"))["webViewLink"]
        await make_public(requests, probe, link)
        findings.append(Finding(what, True, "a file can be made readable for everybody with its link"))
    except StorageError as error:
        findings.append(Finding(what, False, str(error)))
    finally:
        removed = await _removed(requests, probe)
    return [*findings, *removed]


async def _removed(requests: Requests, probe: str) -> list[Finding]:
    """Nothing to say where the test file was never there."""
    try:
        await requests.ask("files.delete", fileId=probe)
        return [Finding("clean-up", True, "the test file was deleted again")]
    except StorageError as error:
        if status_of(error) == 404:
            return []
        if status_of(error) != 403:
            return [Finding("clean-up", False, f"Delete {NAME!r} by hand: {error}")]
    try:
        # in a shared drive, a content manager may put into the trash but not delete
        await requests.ask("files.update", fileId=probe, body={"trashed": True}, fields="id")
        return [Finding("clean-up", True, "the test file was put into the trash; only managers may delete at once")]
    except StorageError as error:
        return [Finding("clean-up", False, f"Delete {NAME!r} by hand: {error}")]


async def _content() -> AsyncIterator[bytes]:
    yield b"Written by `segmentation doctor` to see whether reports can be stored here.\n"


def _place(root: Root, account: str) -> str:
    where = f"in the shared drive {root.drive_id}" if root.drive_id else "in a person's own drive (My Drive)"
    return f"{account} finds {root.name!r} ({root.folder_id}) {where}"


def _no_right(root: Root, account: str) -> str:
    role = "content manager of the shared drive" if root.drive_id else "editor of the folder"
    return f"{account} may not add files to {root.name!r}. Make it {role}"
