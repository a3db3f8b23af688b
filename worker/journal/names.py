"""Names of segments by their keys, kept in memory for the relay."""

from __future__ import annotations

from collections.abc import Iterable

from worker.postgres.session import Session

NAMES_BYTES_MAX = 16 * 1024 * 1024
"""Names of segments that are kept in memory, bytes; a segment's key never changes its name, so they are never stale."""
NAME_BYTES = 400
"""What a name takes in memory beside its characters: its key, its id, and what Python adds to each."""


class Names(dict[int, tuple[str, str]]):
    """Name and id of each segment that was learned, of living and deleted ones; those learned last are there."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._bytes = 0

    async def learn(self, keys: Iterable[int]) -> None:
        """Look up, over the relay's session, what is not known yet."""
        wanted = set(keys)
        unknown = wanted - self.keys()
        if not unknown:
            return
        if self._bytes > NAMES_BYTES_MAX:
            self.clear()
            self._bytes = 0
            unknown = wanted
        for row in await self._session.fetch("segments_by_key", sorted(unknown)):
            self[row["segment_key"]] = (row["segment"], str(row["segment_id"]))
            self._bytes += NAME_BYTES + len(row["segment"])
