"""Why a report was not made: a value with a code, stored and journaled as `report.failed`."""

from __future__ import annotations

from schemas.failures import FailureCode
from worker.errors import WorkerError

MESSAGE_CHARACTERS_MAX = 2_000
"""What others say can be long; of a longer message the beginning is kept."""


class ReportError(WorkerError):
    """A report could not be made or published; the text says why and what to do.

    `code` is that of `report.failed`. A permanent one fails again until a person has done something; all others are
    tried again. `link` is there where the document is stored, but not everybody can read it.
    """

    def __init__(self, code: FailureCode, message: str, *, is_permanent: bool, link: str | None = None) -> None:
        super().__init__(_storable(message))
        self.code, self.is_permanent, self.link = code, is_permanent, link


def _storable(text: str) -> str:
    """Without what PostgreSQL's text can't hold, such as half a surrogate pair from a path's name, and not too long."""
    cleaned = text.encode(errors="replace").decode().replace("\0", "?")
    return cleaned if len(cleaned) <= MESSAGE_CHARACTERS_MAX else cleaned[: MESSAGE_CHARACTERS_MAX - 1] + "…"
