"""Names of segments by their keys, kept in memory for the relay."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import orjson

from schemas.encode import encode_data
from worker.postgres.session import Session

NAMES_BYTES_MAX = 16 * 1024 * 1024
"""Names of segments that are kept in memory, bytes; a segment's key never changes its name, so they are never stale."""
NAME_BYTES = 900
"""What a name takes in memory beside three times its characters: its key, its id, and what Python adds to each."""


class Named(NamedTuple):
    """What events say about a segment; that which is the same in all of them is encoded once."""

    segment: str
    segment_id: str
    item: orjson.Fragment
    """As an item of `exited`."""
    item_without_end: orjson.Fragment
    """As an item of `entered` or `renewed` without an expiry."""


class Names(dict[int, Named]):
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
            named = {"segment": row["segment"], "segment_id": str(row["segment_id"])}
            items = (encode_data(named), encode_data(named | {"expires_at": None}))
            self[row["segment_key"]] = Named(*named.values(), *map(orjson.Fragment, items))
            self._bytes += NAME_BYTES + 3 * len(row["segment"])
