"""What the naive model keeps."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any


@dataclass(frozen=True)
class Member:
    """A user's row for a segment; included = False says that a command has removed it."""

    included: bool
    expires_at: datetime | None
    since: datetime
    origin: str = "command"

    def is_over(self, now: datetime) -> bool:
        return self.expires_at is not None and now >= self.expires_at


@dataclass
class Rollout:
    """A percent on its way to the users that were known when it was set."""

    percent: Decimal
    on_decrease: str
    counts: Counter[str] = field(default_factory=Counter)


@dataclass
class Segment:
    name: str
    generation: str
    fields: dict[str, Any]
