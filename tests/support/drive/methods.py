"""The API's methods but for uploads, held against the discovery document that the client is made from."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import googleapiclient

from tests.support.drive.errors import ApiError, bad_request, no_permission
from tests.support.drive.language import condition, selected, selection
from tests.support.drive.world import FOLDER, ROLES, Account, File, Permission, World

WRITABLE = frozenset({"id", "name", "description", "mimeType", "parents", "trashed"})
DEFAULTS = {
    "File": "kind,id,name,mimeType",
    "FileList": "kind,incompleteSearch,nextPageToken,files(kind,id,name,mimeType)",
    "Permission": "kind,id,type,role",
    "PermissionList": "kind,nextPageToken,permissions(kind,id,type,role)",
}


@cache
def discovery() -> dict[str, Any]:
    """The document that comes with Google's client."""
    folder = Path(googleapiclient.__file__).parent / "discovery_cache" / "documents"
    found: dict[str, Any] = json.loads((folder / "drive.v3.json").read_text(encoding="utf-8"))
    return found


@dataclass
class Call:
    """A request, understood."""

    world: World
    endpoint: str
    account: Account
    method: str
    path: dict[str, str]
    query: dict[str, str]
    body: dict[str, Any]

    @property
    def all_drives(self) -> bool:
        return self.query.get("supportsAllDrives") == "true"

    def shown(self, value: Any, schema: str) -> Any:
        """As much of a resource as the caller asked for."""
        fields = self.query.get("fields") or DEFAULTS.get(schema)
        return selected(value, selection(fields), schema, discovery()["schemas"]) if fields else value

    def file(self, file: File) -> Any:
        return self.shown(self.world.resource(file, self.account, self.endpoint), "File")


def route(verb: str, path: str) -> tuple[str, dict[str, str], dict[str, Any]]:
    """The method's name, what the path holds, and the method's description."""
    for collection, described in discovery()["resources"].items():
        for name, method in described.get("methods", {}).items():
            pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", method["path"])
            match = re.fullmatch(pattern, path)
            # an id is no word of the API, though the pattern would take it for one
            if match and method["httpMethod"] == verb and "generateIds" not in match.groupdict().values():
                return f"{collection}.{name}", match.groupdict(), method
    raise ApiError(404, "notFound", f"no such method: {verb} {path}")


def check_parameters(method: dict[str, Any], query: dict[str, str]) -> None:
    """Unknown parameters are refused, and so are values of the wrong type."""
    known = method.get("parameters", {}) | discovery()["parameters"]
    for name, value in query.items():
        described = known.get(name)
        if described is None or described.get("location") == "path":
            raise bad_request(f"Unknown name {name!r}: cannot bind query parameter.", parameter=name)
        if described["type"] == "boolean" and value not in ("true", "false"):
            raise bad_request("Invalid boolean value", parameter=name)
        if described["type"] == "integer" and not value.isdigit():
            raise bad_request("Invalid integer value", parameter=name)
        if "minimum" in described and int(value) < int(described["minimum"]):
            raise bad_request(f"Invalid value {value}", parameter=name)


def about_get(call: Call) -> Any:
    if "fields" not in call.query:
        raise ApiError(400, "required", "The 'fields' parameter is required for this method.")
    user = {"kind": "drive#user", "displayName": call.account.email, "emailAddress": call.account.email}
    return call.shown({"kind": "drive#about", "user": user}, "About")


def files_generate_ids(call: Call) -> Any:
    count = int(call.query.get("count", "10"))
    if count > 1000:
        raise bad_request("Invalid value", parameter="count")
    ids = [call.world.new_id() for _ in range(count)]
    return call.shown({"kind": "drive#generatedIds", "space": "drive", "ids": ids}, "GeneratedIds")


def files_get(call: Call) -> Any:
    return call.file(call.world.visible(call.path["fileId"], call.account, all_drives=call.all_drives))


def files_list(call: Call) -> Any:
    matches = condition(call.query["q"]) if "q" in call.query else lambda *_: True
    everywhere = call.all_drives and call.query.get("includeItemsFromAllDrives") == "true"
    corpora = call.query.get("corpora", "user")
    if (corpora == "drive") != ("driveId" in call.query):
        raise bad_request("The driveId parameter must be specified if and only if corpora is set to drive.")
    if corpora != "user" and not everywhere:
        raise bad_request("includeItemsFromAllDrives and supportsAllDrives must be set.", parameter="corpora")
    if "driveId" in call.query:
        call.world.visible(call.query["driveId"], call.account, all_drives=True)
    found = [
        call.world.resource(file, call.account, call.endpoint)
        for file in reversed(call.world.files.values())  # in no order that could be relied on
        if call.world.role(file, call.account) >= 0
        and (everywhere or not file.drive_id)
        and ("driveId" not in call.query or file.drive_id == call.query["driveId"])
        and matches(call.world, file)
    ]
    return _page(call, found, "files", "FileList", 1000)


def files_create(call: Call) -> Any:
    return call.file(create(call, b""))


def files_update(call: Call) -> Any:
    return call.file(update(call, None))


def files_delete(call: Call) -> None:
    file = call.world.visible(call.path["fileId"], call.account, all_drives=call.all_drives)
    if call.world.role(file, call.account) < ROLES.index("organizer" if file.drive_id else "owner"):
        raise no_permission()
    del call.world.files[file.id]
    call.world.deleted.add(file.id)


def permissions_list(call: Call) -> Any:
    file = call.world.writable(call.path["fileId"], call.account, all_drives=call.all_drives)
    found = [right.resource() for right in call.world.rights(file)]
    return _page(call, found, "permissions", "PermissionList", 100)


def permissions_create(call: Call) -> Any:
    file = call.world.writable(call.path["fileId"], call.account, all_drives=call.all_drives)
    if call.body.get("type") != "anyone" or call.body.get("role") not in ROLES[:3]:
        raise bad_request("The permission type field is required.", parameter="permission.type")
    if call.body.keys() - {"type", "role", "allowFileDiscovery"}:
        raise bad_request(f"Unknown name in {sorted(call.body)}")
    if call.world.sharing_refusal:
        raise call.world.sharing_refusal
    right = Permission("anyoneWithLink", "anyone", call.body["role"])
    if not call.world.is_sharing_void and not call.world.is_public(file):
        file.permissions.append(right)
    return call.shown(right.resource(), "Permission")


HANDLERS: dict[str, Callable[[Call], Any]] = {
    "about.get": about_get,
    "files.create": files_create,
    "files.delete": files_delete,
    "files.generateIds": files_generate_ids,
    "files.get": files_get,
    "files.list": files_list,
    "files.update": files_update,
    "permissions.create": permissions_create,
    "permissions.list": permissions_list,
}


def check_create(call: Call) -> File:
    """The file as it would be; also asked before an upload begins."""
    _check_body(call.body)
    world, parents = call.world, call.body.get("parents", [])
    if len(parents) != 1:
        raise bad_request("A file must have exactly one parent here.")
    parent = world.writable(parents[0], call.account, all_drives=call.all_drives)
    if parent.mime_type != FOLDER:
        raise ApiError(403, "parentNotAFolder", "The specified parent is not a folder.")
    file_id = call.body.get("id")
    mime_type = call.body.get("mimeType", "application/octet-stream")
    if file_id in world.files or file_id in world.deleted:
        raise ApiError(409, "fileIdInUse", "A file already exists with the provided ID.")
    if file_id is not None and file_id not in world.reserved:
        raise ApiError(400, "invalid", "The provided file ID is not usable.", location="file.id")
    if file_id and mime_type.startswith("application/vnd.google-apps.") and mime_type != FOLDER:
        raise bad_request("Generated ids can't be used for this type.")
    owner = None if parent.drive_id else call.account.email
    name = call.body.get("name", "Untitled")
    made = File(file_id or world.new_id(), name, mime_type, parents, world.now(), owner, parent.drive_id)
    world.check_quota(call.account, made, 0)
    return made


def create(call: Call, content: bytes) -> File:
    """Make the file, now that all of it is there."""
    made = check_create(call)
    call.world.check_quota(call.account, made, len(content))
    made.content, made.description = content, call.body.get("description", "")
    if made.owner:
        made.permissions.append(Permission(f"p-{made.owner}", "user", "owner", made.owner))
    call.world.files[made.id] = made
    return made


def check_update(call: Call) -> File:
    """The file, if it may be changed like this."""
    _check_body(call.body)
    world = call.world
    file = world.writable(call.path["fileId"], call.account, all_drives=call.all_drives)
    if "id" in call.body or "parents" in call.body:
        raise ApiError(403, "fieldNotWritable", "The resource body includes fields which are not directly writable.")
    if "trashed" in call.body and file.owner not in (None, call.account.email):
        raise no_permission()
    if file.drive_id and call.body.get("trashed") and world.role(file, call.account) < ROLES.index("fileOrganizer"):
        raise no_permission()
    added, removed = _ids(call, "addParents"), _ids(call, "removeParents")
    if not set(removed) <= set(file.parents) or set(added) & set(file.parents):
        raise bad_request("Bad Request")
    for parent in added:
        world.writable(parent, call.account, all_drives=call.all_drives)
    if len(set(file.parents) - set(removed) | set(added)) > 1:
        raise ApiError(403, "cannotAddParent", "Increasing the number of parents is not allowed")
    return file


def update(call: Call, content: bytes | None) -> File:
    """Change the file; without content, what it is called and where it lies."""
    file = check_update(call)
    if content is not None:
        call.world.check_quota(call.account, file, len(content) - len(file.content))
        file.content = content
    file.name = call.body.get("name", file.name)
    file.description = call.body.get("description", file.description)
    file.mime_type = call.body.get("mimeType", file.mime_type)
    file.is_trashed = call.body.get("trashed", file.is_trashed)
    kept = [parent for parent in file.parents if parent not in _ids(call, "removeParents")]
    file.parents = kept + _ids(call, "addParents")
    return file


def _ids(call: Call, name: str) -> list[str]:
    return call.query[name].split(",") if name in call.query else []


def _check_body(body: dict[str, Any]) -> None:
    if body.keys() - WRITABLE:
        raise bad_request(f"Unknown or read-only name in {sorted(body)}")


def _page(call: Call, found: list[dict[str, Any]], items: str, schema: str, size_max: int) -> Any:
    token = call.query.get("pageToken", "~!!~0")
    if not re.fullmatch(r"~!!~\d+", token):
        raise bad_request("Invalid Value", parameter="pageToken")
    begin = int(token.removeprefix("~!!~"))
    size = min(int(call.query.get("pageSize", size_max)), size_max, call.world.page_items_max)
    answer: dict[str, Any] = {"kind": f"drive#{schema[0].lower()}{schema[1:]}", items: found[begin : begin + size]}
    if begin + size < len(found):
        answer["nextPageToken"] = f"~!!~{begin + size}"
    return call.shown(answer, schema)
