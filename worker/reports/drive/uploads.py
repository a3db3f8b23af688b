"""Content on its way into a file of Drive, resumed where it broke off."""

from __future__ import annotations

from typing import Any

from worker.reports.drive.client import Refusal, Unreachable, Upload
from worker.reports.drive.requests import Requests, Tries, translated
from worker.reports.drive.window import Forgotten, Window
from worker.reports.storage import StorageError

CHUNK_UNIT_BYTES = 256 * 1024
"""Drive takes multiples of it only, but for the last chunk."""


class UploadLost(StorageError):
    """An upload that can't be resumed; the caller has to begin with the content anew."""

    def __init__(self, why: str) -> None:
        super().__init__("upload_lost", f"The upload has to begin anew: {why}", is_permanent=False)


async def upload(
    requests: Requests, method: str, window: Window, media_type: str, chunk_bytes: int, **arguments: Any
) -> bool:
    """Send all of the content; False where the file exists already, and nothing of the content is gone yet."""
    sending = await requests.client.upload(method, window, media_type, chunk_bytes, fields="id", **arguments)
    tries = Tries(requests.pace)
    while True:
        before = sending.acknowledged_bytes
        # a byte more than is sent tells whether that is the end; after a failure Drive may have taken any part of
        # the chunk, and the next one begins there
        await window.fill(before, (2 if sending.in_doubt else 1) * chunk_bytes + 1)
        failure: Refusal | Unreachable = Unreachable("Drive takes nothing more of the upload")
        try:
            if await sending.step():
                return True
        except Forgotten as error:
            raise UploadLost(str(error)) from error
        except (Refusal, Unreachable) as error:
            if not sending.has_begun and isinstance(error, Refusal) and error.status == 409:
                return False
            if _is_lost(sending, error):
                raise UploadLost(str(translated(error))) from error
            failure = error
        if sending.acknowledged_bytes > before:
            tries.forward()
        if sending.in_doubt or sending.acknowledged_bytes == before:
            await tries.failed(failure)


def _is_lost(sending: Upload, error: Refusal | Unreachable) -> bool:
    """Whether the session is gone, or the file has come from elsewhere in the meantime."""
    return sending.has_begun and isinstance(error, Refusal) and error.status in (404, 409, 410)
