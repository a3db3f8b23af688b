"""The content on its way: what the server has not acknowledged yet is held, and nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator

from worker.errors import WorkerError


class Forgotten(WorkerError):
    """The server asks for bytes that are not there any more, or never were: the upload has to begin anew."""


class Window:
    """A moving part of the content, filled in the caller's task and read from the thread that sends."""

    def __init__(self, content: AsyncIterator[bytes]) -> None:
        self._content = content
        self._begin, self._held, self._ended = 0, bytearray(), False
        self._hash = hashlib.sha256()

    @property
    def size_bytes(self) -> int | None:
        """Of the whole content; None as long as its end is not in sight."""
        return self._begin + len(self._held) if self._ended else None

    @property
    def sha256(self) -> str:
        """Of what was read so far."""
        return self._hash.hexdigest()

    async def fill(self, begin: int, ahead_bytes: int) -> None:
        """Let go of what lies before `begin`, and read on until so many bytes from there are held, or the end."""
        if begin > self._begin:
            del self._held[: begin - self._begin]
            self._begin = begin
        while not self._ended and self._begin + len(self._held) < begin + ahead_bytes:
            try:
                piece = await anext(self._content)
            except StopAsyncIteration:
                self._ended = True
                return
            self._hash.update(piece)
            self._held += piece

    def take(self, begin: int, length: int) -> bytes:
        """Bytes from `begin` on; fewer than asked for at the end of the content alone."""
        offset = begin - self._begin
        if offset < 0:
            raise Forgotten(f"Drive has lost bytes that it had taken: it asks for byte {begin} again")
        if begin == self.size_bytes and begin > 0:
            raise Forgotten("Drive has taken all bytes, but does not end the upload")
        taken = bytes(self._held[offset : offset + length])
        if len(taken) < length and not self._ended:
            # a short chunk says "this is the end" on the wire: it must never be one for another reason
            raise AssertionError("the window was not filled far enough")
        return taken
