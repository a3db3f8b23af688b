"""Instants as a person types them: RFC 3339 with a zone, or how far from now."""

from __future__ import annotations

from datetime import UTC, datetime

from schemas.times import expiry
from schemas.values import shown
from worker.errors import ConfigurationError


def instant(text: str, option: str, now: datetime) -> datetime:
    """The instant; raises ConfigurationError that says what the option must be."""
    try:
        time = expiry(text, now) if text.startswith("P") else datetime.fromisoformat(text)
        is_instant = time is not None and time.tzinfo is not None and time.astimezone(UTC) is not None
    except (ValueError, OverflowError):  # also in year 1, in a zone where UTC's is the year before
        time, is_instant = None, False
    if time is None or not is_instant:
        raise ConfigurationError(
            f"{option} must be RFC 3339 with a zone, such as 2027-01-04T09:00:00Z, or how far from now, such as P1D; "
            f"it is {shown(text)}"
        )
    return time
