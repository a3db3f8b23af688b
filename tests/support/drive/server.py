"""The local Drive on a port of this machine."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

from tests.support.drive.errors import ApiError, not_found
from tests.support.drive.faults import STATUSES, Fault, Faults, Request
from tests.support.drive.methods import HANDLERS, Call, check_parameters, route
from tests.support.drive.tokens import DELEGATE, SERVICE, USER, Tokens
from tests.support.drive.uploads import UNIT_BYTES, Session, Uploads
from tests.support.drive.world import Account, World

API, UPLOAD = "/drive/v3/", "/upload/drive/v3/"
Answer = tuple[int, dict[str, str], bytes]


class LocalDrive:
    """Everything that a test needs of it."""

    def __init__(self, endpoint: str, folder: Path) -> None:
        self.endpoint, self.faults, self.lock = endpoint, Faults(), threading.Lock()
        self.before: Callable[[Request], None] = lambda _: None
        """Called before each request is looked at; what it raises is the answer."""
        self.world, self.uploads = World(), Uploads()
        self.tokens = Tokens(self.world)
        self.credentials_file = self.tokens.service_account_file(folder, endpoint)
        self.user_file = self.tokens.user_file(folder, endpoint)
        for account in (Account(SERVICE, 0), Account(USER), Account(DELEGATE)):
            self.world.accounts[account.email] = account

    def answer(self, verb: str, url: str, headers: dict[str, str], body: bytes, taken_bytes: int | None) -> Answer:
        """To one request."""
        parts = urlsplit(url)
        try:
            if parts.path == "/token":
                status, granted = self.tokens.grant(dict(parse_qsl(body.decode())), self.endpoint)
                return status, {"Content-Type": "application/json"}, json.dumps(granted).encode()
            if parts.path == "/uc":
                return self._download(dict(parse_qsl(parts.query))["id"])
            query = self._query(parts.query)
            account = self.tokens.account(headers.get("authorization"))
            if "upload_id" in query:
                session = self.uploads.take(
                    query["upload_id"], headers.get("content-range"), body, taken_bytes=taken_bytes
                )
                return _uploaded(session)
            return self._method(verb, parts.path, query, account, headers, body)
        except ApiError as error:
            return error.status, {"Content-Type": "application/json; charset=UTF-8"}, error.body()

    def _method(
        self, verb: str, path: str, query: dict[str, str], account: Account, headers: dict[str, str], body: bytes
    ) -> Answer:
        is_upload = path.startswith(UPLOAD)
        name, inside, described = route(verb, path.removeprefix(UPLOAD if is_upload else API))
        check_parameters(described, query)
        call = Call(self.world, self.endpoint, account, name, inside, query, json.loads(body) if body else {})
        if is_upload:
            upload_id = self.uploads.begin(call, headers)
            joined = "&".join(f"{key}={value}" for key, value in query.items())
            return 200, {"Location": f"{self.endpoint}{path}?{joined}&upload_id={upload_id}"}, b""
        found = HANDLERS[name](call)
        if found is None:
            return 204, {}, b""
        return 200, {"Content-Type": "application/json; charset=UTF-8"}, json.dumps(found).encode()

    def _query(self, text: str) -> dict[str, str]:
        values = parse_qs(text, keep_blank_values=True)
        return {name: found[0] for name, found in values.items()}

    def _download(self, file_id: str) -> Answer:
        """Without signing in, so only what is public."""
        file = self.world.files.get(file_id)
        if file is None or not self.world.is_public(file):
            raise not_found(file_id)
        return 200, {"Content-Type": file.mime_type}, file.content


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    drive: LocalDrive

    def _handle(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        length = int(self.headers.get("Content-Length", "0"))
        with self.drive.lock:
            request = Request(self.command, urlsplit(self.path).path, "upload_id" in query)
            fault = self.drive.faults.next(request)
        if fault is Fault.NOT_READ:
            return self._cut()
        if fault in (Fault.NOTHING_TAKEN, Fault.PART_TAKEN):
            # the rest is never read: what is kept lies in the first half
            body = self.rfile.read(length // 2).ljust(length, b"\0")
        else:
            body = self.rfile.read(length)
        answer = self._answer(request, fault, body)
        if fault is Fault.SLOW:
            time.sleep(self.drive.faults.slow_seconds)
        if fault in (Fault.NOTHING_TAKEN, Fault.PART_TAKEN, Fault.NOT_ANSWERED):
            return self._cut()
        if fault is Fault.CLOSED:
            self.close_connection = True
            return None
        return self._send(*answer)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _handle  # noqa: N815 as http.server names them

    def _answer(self, request: Request, fault: Fault | None, body: bytes) -> Answer:
        drive = self.drive
        try:
            drive.before(request)
        except ApiError as error:
            return error.status, {"Content-Type": "application/json; charset=UTF-8"}, error.body()
        if fault in STATUSES:
            status, reason = STATUSES[fault]
            fails = ApiError(status, reason, "A fault of the test.", domain="usageLimits")
            return status, {"Retry-After": "1"} if status == 429 else {}, fails.body()
        if fault is Fault.UNAUTHORIZED:
            drive.tokens.live.clear()
        taken_bytes: int | None = None
        if fault in (Fault.SESSION_NOT_FOUND, Fault.SESSION_GONE):
            drive.uploads.lose(parse_qs(urlsplit(self.path).query)["upload_id"][0])
            if fault is Fault.SESSION_GONE:
                return 410, {}, b"Gone"
        if fault is Fault.NOTHING_TAKEN:
            taken_bytes = 0
        if fault in (Fault.PART_TAKEN, Fault.PART_ACKNOWLEDGED):
            taken_bytes = len(body) // 2 // UNIT_BYTES * UNIT_BYTES
        headers = {name.lower(): value for name, value in self.headers.items()}
        with drive.lock:
            return drive.answer(self.command, self.path, headers, body, taken_bytes)

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self._headers_buffer: list[bytes]
        head = b"".join(self._headers_buffer) + b"\r\n"
        self._headers_buffer = []
        try:
            self.wfile.write(head + body)
        except OSError:
            self.close_connection = True

    def _cut(self) -> None:
        """With a reset, as a broken network does."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def log_message(self, *_: Any) -> None:
        """Not to standard error."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_: Any) -> None:
        """A client that has gone away is part of the tests."""


@contextmanager
def drive_server(folder: Path) -> Iterator[LocalDrive]:
    """A Drive with nothing in it; its credentials are written into the folder."""

    class Handler(_Handler):
        pass

    server = _Server(("127.0.0.1", 0), Handler)
    local = Handler.drive = LocalDrive(f"http://127.0.0.1:{server.server_port}", folder)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.005}, daemon=True)
    thread.start()
    try:
        yield local
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _uploaded(session: Session) -> Answer:
    if session.file is None:
        last = len(session.received) - 1
        return 308, {"Range": f"bytes=0-{last}"} if last >= 0 else {}, b""
    shown = json.dumps(session.call.file(session.file)).encode()
    return 200, {"Content-Type": "application/json; charset=UTF-8"}, shown
