"""What is known about a user and a segment: the state of all generations of its name, and what the journal tells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Change:
    """A journal row, as far as it is about one generation of the segment (None: it is about the user alone)."""

    sequence: int
    time: datetime
    what: str
    """entered, exited, renewed, unchanged or forgotten."""
    reason: str
    segment_key: int | None = None
    expires_at: datetime | None = None
    command_id: str | None = None
    command_source: str | None = None


@dataclass(frozen=True, slots=True)
class Membership:
    """The table's row, whatever it is worth by now."""

    is_included: bool
    origin: str
    since: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Rollout:
    """The last setting of the percent; `is_awaited` says that it has the user still before it."""

    requested_at: datetime
    finished_at: datetime | None
    on_decrease: str
    is_awaited: bool


@dataclass(frozen=True, slots=True)
class Generation:
    """One segment of that name; `is_active` is the view's word on the user."""

    segment_key: int
    segment_id: str
    created_at: datetime
    deleted_at: datetime | None
    percent: Decimal | None
    bucket: int
    is_inside: bool
    is_active: bool
    membership: Membership | None = None
    rollout: Rollout | None = None
    expiry_error: str | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """All of it as of one instant; generations and changes are oldest first, and there is a generation."""

    user_id: str
    segment: str
    asked_at: datetime
    registered_at: datetime | None
    generations: Sequence[Generation]
    changes: Sequence[Change]
    told_from: datetime | None
    """Where the reading of the journal began; None where the journal is empty."""
    is_whole: bool
    """Whether that is the beginning of all."""

    @property
    def newest(self) -> Generation:
        """The one that the name means."""
        return self.generations[-1]
