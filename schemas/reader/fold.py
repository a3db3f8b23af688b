"""Many records of many users become one row for each user."""

from __future__ import annotations

from collections.abc import Callable

from schemas.reader.packed import Item, pack, unpack
from schemas.reader.said import Changed, Forgotten, State

Row = tuple[int, bytes | None]
"""A sequence and what the user is in as of it; None for a user who was forgotten."""


class Fold:
    """What changes in one transaction of the store.

    A state is taken unless something newer is known, an event only if it is newer than what is known. Of a forgotten
    user nothing is kept, not even when that was.
    """

    def __init__(self, stored: Callable[[str], tuple[int, bytes] | None]) -> None:
        self.rows: dict[str, Row] = {}
        self._stored = stored
        self._read: dict[str, Row | None] = {}

    def state(self, said: State) -> None:
        """The store's statement compares it with what the store has, which nobody needs to read for this."""
        row = self.rows.get(said.user_id)
        if row is None or row[0] <= said.sequence:
            self.rows[said.user_id] = (said.sequence, said.packed)

    def forgotten(self, said: Forgotten) -> None:
        """A tombstone, or the event of it."""
        known = self._known(said.user_id)
        known_through = known[0] if known else 0
        sequence = known_through if said.sequence is None else said.sequence
        if sequence >= known_through:
            self.rows[said.user_id] = (sequence, None)

    def changed(self, said: Changed) -> None:
        """An event."""
        known = self._known(said.user_id)
        sequence, packed = known or (0, None)
        if said.sequence <= sequence:
            return
        items = {item.segment: item for item in unpack(packed or b"")}
        for item in said.entered:
            items[item.segment] = item
        for item in said.renewed:
            items[item.segment] = _renewed(items.get(item.segment), item)
        for segment in said.exited:
            items.pop(segment, None)
        self.rows[said.user_id] = (said.sequence, pack(items.values()))

    def _known(self, user_id: str) -> Row | None:
        """The newest of what this transaction and the store have."""
        if user_id not in self._read:
            self._read[user_id] = self._stored(user_id)
        stored, row = self._read[user_id], self.rows.get(user_id)
        return stored if row is None or (stored is not None and stored[0] > row[0]) else row


def _renewed(before: Item | None, item: Item) -> Item:
    return item if before is None else before._replace(expires=item.expires, origin=item.origin)
