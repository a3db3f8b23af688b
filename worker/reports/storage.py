"""Where reports are kept: what every storage promises, and how one says that it could not."""

from __future__ import annotations

import abc
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from worker.reports.failures import ReportError


class StorageError(ReportError):
    """A document could not be stored or made public."""


class DocumentLost(StorageError):
    """The document is out of reach, and its id can't be used again: it needs a new one, and so gets a new link."""

    def __init__(self, message: str, document_id: str) -> None:
        super().__init__("document_lost", message, is_permanent=True)
        self.document_id = document_id


@dataclass(frozen=True, slots=True)
class Document:
    """What is to be stored. `document_id` is one that the storage gave out by `reserve`: the same for every try and
    every later edition of the same document, so that its link stays. Within a year no two documents have one name."""

    document_id: str
    year: int
    name: str
    media_type: str
    description: str


class Finding(NamedTuple):
    """What a check of the storage found out, for a person; `is_good` is False for what would make a report fail."""

    what: str
    is_good: bool
    message: str
    is_warning: bool = False
    """Whether it should be looked at, though nothing fails."""


class Storage(abc.ABC):
    """Keeps documents. For one task at a time; `close` it at the end."""

    name: str
    """As the setting SEGMENTATION_REPORT_STORAGE has it, and the event `report.published`."""

    @abc.abstractmethod
    async def reserve(self, count: int) -> Sequence[str]:
        """So many new document ids, to be kept by the caller before anything is stored. Raises StorageError."""

    @abc.abstractmethod
    async def put(self, document: Document, content: AsyncIterator[bytes]) -> str:
        """Store the content, in place of what the document held, and return the link by which anyone can read it.

        All of it or nothing: until it returns, a reader sees what was there before (or nothing). `content` comes in
        pieces of any size, is read once and never ahead of what can be stored, and the memory held does not grow with
        it. What `content` raises goes through to the caller and leaves all as it was. Raises StorageError.
        """

    @abc.abstractmethod
    async def check(self, *, with_trial: bool) -> Sequence[Finding]:
        """Look at everything that a report needs. Never raises StorageError.

        With a trial, a document is really stored, made public and removed again; without, nothing is changed.
        """

    @abc.abstractmethod
    async def close(self) -> None:
        """Give back what the storage holds open."""
