"""How much the relay puts into one Kafka transaction: what goes through quickly, never more than the limits."""

from __future__ import annotations

HALVINGS_AT_FIRST = 4
"""A new relay knows nothing of the way to Kafka: it begins with a sixteenth of the limits, and doubles that."""
QUICK_SHARE, SLOW_SHARE = 1 / 8, 1 / 2
"""Of the time that a transaction may take: below the first the next one is twice as large, above the other half."""


class Pace:
    """Limits of the next transaction, in rows and in bytes; one row is always taken, whatever its size."""

    def __init__(self, rows_max: int, bytes_max: int, seconds_max: float) -> None:
        self._rows_max, self._bytes_max, self._seconds_max = rows_max, bytes_max, seconds_max
        self._halvings_max = rows_max.bit_length()
        self._halvings = min(HALVINGS_AT_FIRST, self._halvings_max)

    @property
    def rows(self) -> int:
        """Journal rows that the next transaction may hold."""
        return max(1, self._rows_max >> self._halvings)

    @property
    def bytes(self) -> int:
        """Bytes of events that the next transaction may hold."""
        return max(1, self._bytes_max >> self._halvings)

    def committed(self, seconds: float) -> None:
        """A transaction went through in that time."""
        if seconds < self._seconds_max * QUICK_SHARE:
            self._halvings = max(0, self._halvings - 1)
        elif seconds > self._seconds_max * SLOW_SHARE:
            self.failed()

    def failed(self) -> None:
        """A transaction was refused or not answered in time: the next one is half as large."""
        self._halvings = min(self._halvings + 1, self._halvings_max)
