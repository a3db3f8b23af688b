"""Google's client library, as the Drive storage needs it. The only module that imports it.

httplib2 is not thread-safe, so what one `Client` does happens in one thread of its own. Each request goes out once:
what became of it is an answer, or one of the errors here, and whoever repeats it knows that it may have been carried
out.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, TypeVar

import google_auth_httplib2
import httplib2
from google.auth import exceptions as auth_errors
from google.oauth2 import credentials as user_credentials
from google.oauth2 import service_account
from googleapiclient.discovery import build_from_document
from googleapiclient.discovery_cache import get_static_doc
from googleapiclient.errors import Error as ClientError
from googleapiclient.errors import HttpError
from googleapiclient.http import MediaUpload

from worker.errors import WorkerError
from worker.reports.drive import credentials
from worker.reports.drive.window import Window
from worker.reports.storage import StorageError

T = TypeVar("T")

CLOSE_SECONDS_MAX = 2.0
WITHOUT_DRIVES = frozenset({"about.get", "files.generateIds"})
"""Methods that do not ask whether shared drives are meant, too; all others must be told so."""


class Refusal(WorkerError):
    """Drive answered with an error; `reason` is its word for it."""

    def __init__(self, status: int, reason: str, detail: str, retry_after_seconds: float | None) -> None:
        super().__init__(f"{status} {reason}: {detail}")
        self.status, self.reason, self.detail = status, reason, detail
        self.retry_after_seconds = retry_after_seconds


class Unreachable(WorkerError):
    """No answer came; the request may have been carried out. `detail` is for the log alone: it may hold addresses."""

    def __init__(self, message: str, detail: str | None = None) -> None:
        super().__init__(f"{message}: {detail}" if detail else message)
        self.message, self.detail = message, detail


class Answer(dict[str, Any]):
    """What Drive has answered; asking it for what must be there and is not is a failure that may pass."""

    def __missing__(self, name: str) -> Any:
        raise StorageError(
            "drive_unavailable",
            f"Drive's answer lacks {name!r}: something between here and Google answers in its place",
            is_permanent=False,
        )


class Client:
    """Drive's methods for one account. For one task at a time."""

    def __init__(
        self, credentials_file: Path, *, api_endpoint: str | None, subject: str | None, request_seconds_max: float
    ) -> None:
        self._credentials_file, self._subject = credentials_file, subject
        self._api_endpoint = api_endpoint.rstrip("/") if api_endpoint else None
        self._http = _Http(timeout=request_seconds_max)
        self._http.redirect_codes -= {308}  # of an upload it means "go on", not "elsewhere"
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="drive")
        self._service: Any = None
        self._is_closed = False
        self.account = "the account of the credentials"
        """The e-mail address to share the folder with, as far as the credentials tell."""

    async def ask(self, method: str, **arguments: Any) -> dict[str, Any]:
        """Call a method such as `files.get`; raises Refusal, Unreachable, or StorageError for the credentials."""
        answer = await self.run(lambda service: _request(service, method, arguments).execute())
        if not answer:
            return Answer()  # a deletion answers with nothing
        if not isinstance(answer, dict):  # what is not declared as JSON is handed through
            raise Unreachable(
                "Drive's answer is no JSON object: something between here and Google answers in its place"
            )
        return Answer(answer)

    async def upload(self, method: str, window: Window, media_type: str, chunk_bytes: int, **arguments: Any) -> Upload:
        """A resumable upload that has not begun yet."""
        arguments["media_body"] = _Media(window, media_type, chunk_bytes)
        return Upload(self, await self.run(lambda service: _request(service, method, arguments)))

    async def run(self, work: Callable[[Any], T]) -> T:
        """Do it in the client's thread; where the caller does not wait any more, the connection is cut."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._translated, work)
        except asyncio.CancelledError:
            self._cut()
            raise

    async def close(self) -> None:
        """Close the connections; a request under way is cut."""
        if self._is_closed:
            return
        self._is_closed = True
        self._cut()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS_MAX):
                await asyncio.get_running_loop().run_in_executor(self._thread, self._http.close)
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _translated(self, work: Callable[[Any], T]) -> T:
        try:
            if self._service is None:
                self._service = self._connect()
            return work(self._service)
        except HttpError as error:
            raise _refusal(error) from None  # its text has the upload's address, which is a secret
        except auth_errors.RefreshError as error:
            self._http.close()
            self._service = None  # the next call reads the credentials again: they may have been replaced
            raise self._token_refused(error) from error
        except (OSError, http.client.HTTPException, httplib2.HttpLib2Error, auth_errors.TransportError) as error:
            # httplib2 keeps a connection that broke in mid-request, and would use it for the next one
            self._http.close()
            raise Unreachable("Drive did not answer", str(error) or type(error).__name__) from error
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise Unreachable("Drive's answer is not JSON") from error
        except (ClientError, auth_errors.GoogleAuthError) as error:
            raise Unreachable(
                "Google's client could not finish the request", f"{type(error).__name__}: {error}"
            ) from error

    def _connect(self) -> Any:
        document = get_static_doc("drive", "v3")
        if document is None:
            message = "google-api-python-client lacks its document drive.v3.json; install it again"
            raise StorageError("client_incomplete", message, is_permanent=True)
        described = json.loads(document)
        if self._api_endpoint:
            described["rootUrl"] = f"{self._api_endpoint}/"
            described["baseUrl"] = f"{self._api_endpoint}/{described['servicePath']}"
        authorized = google_auth_httplib2.AuthorizedHttp(self._credentials(), http=self._http)
        return build_from_document(described, http=authorized)

    def _credentials(self) -> Any:
        info = credentials.read(self._credentials_file)
        kind = info.get("type")
        try:
            if kind == "service_account":
                found = service_account.Credentials.from_service_account_info(
                    info, scopes=[credentials.SCOPE], subject=self._subject
                )  # type: ignore[no-untyped-call] # google-auth leaves it untyped
                self.account = self._subject or info["client_email"]
                return found
            if kind == "authorized_user" and self._subject:
                raise credentials.unusable(
                    self._credentials_file, "SEGMENTATION_GOOGLE_SUBJECT needs those of a service account"
                )
            if kind == "authorized_user":
                of_user = user_credentials.Credentials.from_authorized_user_info
                user = of_user(info, scopes=[credentials.SCOPE])  # type: ignore[no-untyped-call] # google-auth leaves it untyped
                self.account = info.get("account") or self.account
                own_endpoint = self._api_endpoint and info.get("token_uri")
                return user.with_token_uri(own_endpoint) if own_endpoint else user
        except (ValueError, TypeError, auth_errors.GoogleAuthError):  # their text may quote what stands in the file
            fields = (
                credentials.SERVICE_ACCOUNT_FIELDS if kind == "service_account" else credentials.AUTHORISED_USER_FIELDS
            )
            raise credentials.unusable(self._credentials_file, credentials.missing(info, fields)) from None
        raise credentials.unknown_kind(self._credentials_file, info)

    def _token_refused(self, error: auth_errors.RefreshError) -> WorkerError:
        said = str(error.args[0]) if error.args else "nothing"
        answer = error.args[1] if len(error.args) > 1 and isinstance(error.args[1], dict) else {}
        code = answer.get("error")
        if error.retryable or not isinstance(code, str):  # a refusal has a code; all else is the weather
            return Unreachable("Google's token endpoint has a problem of its own", said)
        return credentials.refused(self._credentials_file, self.account, self._subject, code, said)

    def _cut(self) -> None:
        """Make what the thread waits for fail at once; closing is left to the thread."""
        for connection in list(self._http.connections.values()):
            if connection.sock is not None:
                with contextlib.suppress(OSError):
                    connection.sock.shutdown(socket.SHUT_RDWR)


class Upload:
    """One resumable upload, a chunk a step."""

    def __init__(self, client: Client, request: Any) -> None:
        self._client, self._request = client, request
        self.in_doubt = False
        """Whether the last step failed; the next one asks first how much has arrived."""

    @property
    def has_begun(self) -> bool:
        """Whether Drive has given it a session."""
        return self._request.resumable_uri is not None

    @property
    def acknowledged_bytes(self) -> int:
        """How much of the content Drive has said to hold."""
        return int(self._request.resumable_progress)

    async def step(self) -> bool:
        """Send the next chunk, which the window must hold; True at the end. Raises as `Client.ask`, and Forgotten."""
        self.in_doubt = True
        _, answer = await self._client.run(lambda _: self._request.next_chunk(num_retries=0))
        self.in_doubt = False
        return answer is not None


class _Media(MediaUpload):  # type: ignore[misc] # Google's client has no types
    def __init__(self, window: Window, media_type: str, chunk_bytes: int) -> None:
        self._window, self._media_type, self._chunk_bytes = window, media_type, chunk_bytes

    def chunksize(self) -> int:
        return self._chunk_bytes

    def mimetype(self) -> str:
        return self._media_type

    def size(self) -> int | None:
        return self._window.size_bytes

    def resumable(self) -> bool:
        return True

    def getbytes(self, begin: int, length: int) -> bytes:
        return self._window.take(begin, length)


class _Once(http.client.HTTPConnection):
    """Keeps httplib2 from sending a request again by itself when the server closes the connection."""

    def getresponse(self) -> http.client.HTTPResponse:
        try:
            return super().getresponse()
        except (http.client.BadStatusLine, http.client.ResponseNotReady) as error:
            raise ConnectionResetError(f"the connection was closed ({type(error).__name__})") from error


class _PlainConnection(_Once, httplib2.HTTPConnectionWithTimeout):  # type: ignore[misc] # httplib2 has no types
    pass


class _TlsConnection(_Once, httplib2.HTTPSConnectionWithTimeout):  # type: ignore[misc] # httplib2 has no types
    pass


class _Http(httplib2.Http):  # type: ignore[misc] # httplib2 has no types
    def request(self, uri: str, *arguments: Any, **others: Any) -> Any:
        others["connection_type"] = _TlsConnection if uri.startswith("https:") else _PlainConnection
        return super().request(uri, *arguments, **others)


def _request(service: Any, method: str, arguments: dict[str, Any]) -> Any:
    collection, _, verb = method.partition(".")
    if method not in WITHOUT_DRIVES:
        arguments = arguments | {"supportsAllDrives": True}
    return getattr(getattr(service, collection)(), verb)(**arguments)


def _refusal(error: HttpError) -> Refusal:
    try:
        said = json.loads(error.content)["error"]
        detail = str(said["message"])
        listed = said.get("errors") or [{}]
        reason = str(listed[0].get("reason") or said.get("status") or "")
    except (ValueError, KeyError, TypeError, AttributeError):
        detail, reason = str(error.resp.reason or ""), ""
    return Refusal(int(error.resp.status), reason, detail, wait_seconds(error.resp.get("retry-after")))


def wait_seconds(retry_after: str | None) -> float | None:
    """What the header Retry-After says, in seconds or as a time."""
    if retry_after is None:
        return None
    try:
        if retry_after.strip().isdigit():
            return float(retry_after)
        moment = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    return max(0.0, (moment.astimezone(UTC) - datetime.now(UTC)).total_seconds())
