"""A month's figures, as the page for reading shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime


@dataclass(frozen=True, slots=True)
class Flow:
    """How many memberships were entered, exited and renewed."""

    entered: int
    exited: int
    renewed: int

    @property
    def net(self) -> int:
        """How many more there are than before."""
        return self.entered - self.exited


@dataclass(frozen=True, slots=True)
class SegmentFlow:
    """A segment's month; `active` is how many members it had at the month's end (or when the report was made)."""

    segment: str
    segment_id: str
    is_deleted: bool
    flow: Flow
    active: int


@dataclass(frozen=True, slots=True)
class Summary:
    """A month; days and reasons without changes are left out, segments are those that had changes or have members.

    `segments` holds the ones with most changes first, at most `SEGMENTS_SHOWN_MAX`; `others` stands for
    `others_count` more of them.
    """

    year: int
    month: int
    is_partial: bool
    """Whether the month was still running when the report was made."""
    made_at: datetime
    source: str
    """The deployment's event source."""
    rows: int
    file_name: str
    file_link: str
    file_bytes: int
    file_sha256: str
    total: Flow
    active: int
    segments: Sequence[SegmentFlow]
    others: SegmentFlow | None
    others_count: int
    days: Sequence[tuple[date, Flow]]
    reasons: Sequence[tuple[str, Flow]]


SEGMENTS_SHOWN_MAX = 200
