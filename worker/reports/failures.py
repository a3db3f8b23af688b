"""Why a report was not made: a value with a code, stored and journaled as `report.failed`."""

from __future__ import annotations

from schemas.failures import FailureCode
from worker.errors import WorkerError

MESSAGE_CHARACTERS_MAX = 2_000
"""What others say can be long; of a longer message the beginning is kept."""


class ReportError(WorkerError):
    """A report could not be made or published; the text says why and what to do.

    `code` is that of `report.failed`. `message` is for everybody: subscribers read it in the event, so it names
    settings, not what they are set to. `detail` is for the operator's log and `doctor` alone: a path, an address, what
    the other side said. A permanent error fails again until a person has done something; all others are tried again.
    `link` is there where the document is stored, but not everybody can read it.
    """

    def __init__(
        self, code: FailureCode, message: str, *, is_permanent: bool, detail: str | None = None, link: str | None = None
    ) -> None:
        self.message, self.detail = _storable(message), _storable(detail or "")
        super().__init__(f"{self.message} ({self.detail})" if self.detail else self.message)
        self.code, self.is_permanent, self.link = code, is_permanent, link


def refused_by_database(error: Exception) -> ReportError:
    """For what PostgreSQL refuses: a right that is missing, a table that is another one, a value. Tried again."""
    message = "PostgreSQL refused to read or note the report; the worker's log has the reason. It is tried again"
    return ReportError("failed", message, is_permanent=False, detail=str(error) or type(error).__name__)


def _storable(text: str) -> str:
    """Without what PostgreSQL's text can't hold, such as half a surrogate pair from a path's name, and not too long."""
    cleaned = text.encode(errors="replace").decode().replace("\0", "?")
    return cleaned if len(cleaned) <= MESSAGE_CHARACTERS_MAX else cleaned[: MESSAGE_CHARACTERS_MAX - 1] + "…"
