"""Months as half-open ranges of time, UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta


@dataclass(frozen=True, slots=True)
class Month:
    """A month of the calendar."""

    year: int
    month: int

    def __str__(self) -> str:
        return f"{self.year:04}-{self.month:02}"

    @property
    def first_day(self) -> date:
        """As the database's tables name the month."""
        return date(self.year, self.month, 1)

    @property
    def begins(self) -> datetime:
        """The first instant."""
        return datetime(self.year, self.month, 1, tzinfo=UTC)

    @property
    def ends(self) -> datetime:
        """The first instant after it."""
        return (self.begins + timedelta(days=31)).replace(day=1)

    @classmethod
    def of(cls, day: date) -> Month:
        """The month in which the day, or the time in UTC, lies."""
        return cls(day.year, day.month)
