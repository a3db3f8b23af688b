"""What the local Drive holds: accounts, files with their rights, shared drives."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.drive.errors import ApiError, no_permission, not_found

FOLDER = "application/vnd.google-apps.folder"
ROLES = ("reader", "commenter", "writer", "fileOrganizer", "organizer", "owner")


@dataclass
class Account:
    """Somebody who can sign in; a service account's quota is 0."""

    email: str
    quota_bytes: int | None = None


@dataclass
class Permission:
    id: str
    type: str
    role: str
    email: str | None = None
    view: str | None = None

    def resource(self) -> dict[str, Any]:
        found: dict[str, Any] = {"kind": "drive#permission", "id": self.id, "type": self.type, "role": self.role}
        if self.email:
            found["emailAddress"] = self.email
        if self.type == "anyone":
            found["allowFileDiscovery"] = False
        return found | ({"view": self.view} if self.view else {})


@dataclass
class File:
    """A file, a folder, or the top of a shared drive (whose id is the drive's)."""

    id: str
    name: str
    mime_type: str
    parents: list[str]
    created: str
    owner: str | None
    drive_id: str | None = None
    description: str = ""
    content: bytes = b""
    is_trashed: bool = False
    permissions: list[Permission] = field(default_factory=list)


class World:
    """All of it, and the rules for who may see and do what."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.files: dict[str, File] = {}
        self.reserved: set[str] = set()
        self.deleted: set[str] = set()
        self.sharing_refusal: ApiError | None = None
        self.is_sharing_void = False
        """Whether a right for everybody is taken, and not given."""
        self.page_items_max = 2
        """Drive may make any page shorter than asked for; here it always does."""
        self._clock = datetime(2026, 10, 1, tzinfo=UTC)

    def new_id(self) -> str:
        """An id that a file may be created with."""
        file_id = "1" + secrets.token_urlsafe(24)
        self.reserved.add(file_id)
        return file_id

    def add(self, name: str, parent: str | None, *, owner: str | None = None, mime_type: str = FOLDER) -> File:
        """A file put there by somebody else than who is tested."""
        above = self.files[parent] if parent else None
        drive_id = above.drive_id if above else None
        made = File(self.new_id(), name, mime_type, [parent] if parent else [], self.now(), owner, drive_id)
        if owner:
            made.permissions.append(Permission(f"p-{owner}", "user", "owner", owner))
        self.files[made.id] = made
        return made

    def add_drive(self, name: str, **roles: str) -> File:
        """A shared drive; its members' roles by e-mail address."""
        drive_id = "0A" + secrets.token_hex(8)
        made = File(drive_id, name, FOLDER, [], self.now(), None, drive_id)
        made.permissions = [Permission(f"p-{email}", "user", role, email) for email, role in roles.items()]
        self.files[drive_id] = made
        return made

    def share(self, file: File, email: str, role: str) -> None:
        """Give somebody a right."""
        file.permissions.append(Permission(f"p-{email}", "user", role, email))

    def now(self) -> str:
        """Later with every call."""
        self._clock += timedelta(milliseconds=1)
        return self._clock.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def line(self, file: File) -> list[File]:
        """The file and the folders above it."""
        return [file] + [up for parent in file.parents for up in self.line(self.files[parent])]

    def is_trashed(self, file: File) -> bool:
        return any(place.is_trashed for place in self.line(file))

    def rights(self, file: File) -> list[Permission]:
        """Its own and those from above, each once."""
        return list({right.id: right for place in self.line(file) for right in place.permissions}.values())

    def is_public(self, file: File) -> bool:
        return any(right.type == "anyone" and not right.view for right in self.rights(file))

    def role(self, file: File, account: Account) -> int:
        """Its place in ROLES; -1 for none."""
        rights = [right for right in self.rights(file) if right.type == "anyone" or right.email == account.email]
        return max((ROLES.index(right.role) for right in rights), default=-1)

    def visible(self, file_id: str, account: Account, *, all_drives: bool) -> File:
        """The file, if the account can see it; those in shared drives only for who asks for them."""
        file = self.files.get(file_id)
        if file is None or self.role(file, account) < 0 or (file.drive_id and not all_drives):
            raise not_found(file_id)
        return file

    def writable(self, file_id: str, account: Account, *, all_drives: bool) -> File:
        """The file, if the account may change it."""
        file = self.visible(file_id, account, all_drives=all_drives)
        if self.role(file, account) < ROLES.index("writer"):
            raise no_permission()
        return file

    def check_quota(self, account: Account, file: File, more_bytes: int) -> None:
        """What is in no shared drive counts for its owner, and service accounts have nothing to count."""
        if file.drive_id or file.mime_type == FOLDER or account.quota_bytes is None:
            return
        used = sum(len(other.content) for other in self.files.values() if other.owner == account.email)
        if account.quota_bytes == 0 or used + more_bytes > account.quota_bytes:
            message = (
                "Service Accounts do not have storage quota. Leverage shared drives, or use OAuth delegation instead."
                if account.quota_bytes == 0
                else "The user's Drive storage quota has been exceeded."
            )
            raise ApiError(403, "storageQuotaExceeded", message, domain="usageLimits")

    def resource(self, file: File, account: Account, endpoint: str) -> dict[str, Any]:
        """As the API shows it."""
        is_folder = file.mime_type == FOLDER
        can_write = self.role(file, account) >= ROLES.index("writer")
        found: dict[str, Any] = {
            "kind": "drive#file",
            "id": file.id,
            "name": file.name,
            "mimeType": file.mime_type,
            "description": file.description,
            "createdTime": file.created,
            "trashed": self.is_trashed(file),
            "explicitlyTrashed": file.is_trashed,
            "webViewLink": f"{endpoint}/file/d/{file.id}/view?usp=drivesdk",
            "capabilities": {"canEdit": can_write, "canAddChildren": can_write and is_folder, "canShare": can_write},
        }
        if file.parents:
            found["parents"] = list(file.parents)
        if file.drive_id:
            found["driveId"] = file.drive_id
        if not is_folder:
            found["size"] = str(len(file.content))
            found["md5Checksum"] = hashlib.md5(file.content, usedforsecurity=False).hexdigest()
            found["sha256Checksum"] = hashlib.sha256(file.content).hexdigest()
            found["webContentLink"] = f"{endpoint}/uc?id={file.id}&export=download"
        return found
