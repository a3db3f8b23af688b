"""Resumable uploads: a session of metadata first, then chunks, each answered with how much has arrived."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field

from tests.support.drive.errors import ApiError, bad_request
from tests.support.drive.methods import Call, check_create, check_update, create, update
from tests.support.drive.world import File

UNIT_BYTES = 256 * 1024
CHUNK = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
QUESTION = re.compile(r"bytes \*/(\d+|\*)")


@dataclass
class Session:
    """An upload under way, or done."""

    call: Call
    media_type: str
    received: bytearray = field(default_factory=bytearray)
    file: File | None = None


class Uploads:
    """All sessions."""

    def __init__(self) -> None:
        self.sessions: dict[str, Session] = {}

    def begin(self, call: Call, headers: dict[str, str]) -> str:
        """The session's id; what can be known to be wrong is refused here."""
        if call.query.get("uploadType") != "resumable":
            raise bad_request("Only resumable uploads are known here.", parameter="uploadType")
        media_type = headers.get("x-upload-content-type")
        if not media_type:
            raise bad_request("X-Upload-Content-Type is missing")
        (check_create if call.method == "files.create" else check_update)(call)
        upload_id = secrets.token_urlsafe(16)
        self.sessions[upload_id] = Session(call, media_type)
        return upload_id

    def lose(self, upload_id: str) -> None:
        """As after a week, or when Drive has had a bad day."""
        self.sessions.pop(upload_id, None)

    def take(self, upload_id: str, content_range: str | None, body: bytes, *, taken_bytes: int | None) -> Session:
        """A chunk, or the question how much has arrived. With `taken_bytes`, no more of the chunk than that."""
        session = self.sessions.get(upload_id)
        if session is None:
            raise ApiError(404, "notFound", "Upload session not found.")
        if session.file is not None:
            return session
        begin, total = _place(session, content_range, body)
        if begin is not None:
            session.received += body if taken_bytes is None else body[:taken_bytes]
        if total is not None and len(session.received) == total:
            content = bytes(session.received)
            make = create if session.call.method == "files.create" else update
            session.file = make(session.call, content)
        return session


def _place(session: Session, content_range: str | None, body: bytes) -> tuple[int | None, int | None]:
    """Where the chunk begins, and the size of the whole as far as it was said."""
    if content_range is None:
        if session.received:
            raise bad_request("Content-Range is missing")
        return 0, len(body)
    question = QUESTION.fullmatch(content_range)
    if question:
        if body:
            raise bad_request("a question has no body")
        return None, None if question[1] == "*" else int(question[1])
    chunk = CHUNK.fullmatch(content_range)
    if chunk is None:
        raise bad_request(f"Failed to parse Content-Range header: {content_range}")
    begin, end = int(chunk[1]), int(chunk[2])
    total = None if chunk[3] == "*" else int(chunk[3])
    if begin > end or end - begin + 1 != len(body) or (total is not None and end >= total):
        raise bad_request(f"Content-Range {content_range} does not fit {len(body)} bytes")
    if begin != len(session.received):
        raise bad_request(f"{len(session.received)} bytes have arrived, but the chunk begins at {begin}")
    if (total is None or end + 1 < total) and len(body) % UNIT_BYTES:
        raise bad_request("The number of bytes uploaded is required to be a multiple of 262144, but for the last chunk")
    return begin, total
