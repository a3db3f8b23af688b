"""Many records of many users become one row for each user."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from schemas.reader.packed import Item, pack, unpack
from schemas.reader.said import Changed, Forgotten, State

BY_EVENT = -1


class Row(NamedTuple):
    """What a user is in as of a sequence; None for one who was forgotten. `partition` is that of the state, if it was
    told by a state.
    """

    sequence: int
    packed: bytes | None
    partition: int

    def is_newer_than(self, other: Row) -> bool:
        """Within a partition of states the later one is: where the deployment was set back, its numbers were, too."""
        return self.sequence >= other.sequence or (self.partition == other.partition != BY_EVENT)


class Fold:
    """What changes in one transaction of the store.

    A state is taken unless something newer is known, an event only if it is newer than what is known. Of a forgotten
    user nothing is kept, not even when that was.
    """

    def __init__(self, stored: Callable[[str], tuple[int, bytes, int] | None]) -> None:
        self.rows: dict[str, Row] = {}
        self._stored = stored
        self._read: dict[str, Row | None] = {}

    def state(self, said: State, partition: int) -> None:
        """The store's statement compares it with what the store has, which nobody needs to read for this."""
        row, before = Row(said.sequence, said.packed, partition), self.rows.get(said.user_id)
        if before is None or row.is_newer_than(before):
            self.rows[said.user_id] = row

    def forgotten(self, said: Forgotten, partition: int) -> None:
        """A tombstone, or the event of it, which has the partition BY_EVENT."""
        known = self._known(said.user_id)
        row = Row((known.sequence if known else 0) if said.sequence is None else said.sequence, None, partition)
        if known is None or row.is_newer_than(known):
            self.rows[said.user_id] = row

    def changed(self, said: Changed) -> None:
        """An event."""
        known = self._known(said.user_id) or Row(0, None, BY_EVENT)
        if said.sequence <= known.sequence:
            return
        items = {item.segment: item for item in unpack(known.packed or b"")}
        for item in said.entered:
            items[item.segment] = item
        for item in said.renewed:
            items[item.segment] = _renewed(items.get(item.segment), item)
        for segment in said.exited:
            items.pop(segment, None)
        self.rows[said.user_id] = Row(said.sequence, pack(items.values()), BY_EVENT)

    def _known(self, user_id: str) -> Row | None:
        """The newest of what this transaction and the store have."""
        if user_id not in self._read:
            stored = self._stored(user_id)
            self._read[user_id] = None if stored is None else Row(*stored)
        stored_row, row = self._read[user_id], self.rows.get(user_id)
        return row if stored_row is None or (row is not None and row.is_newer_than(stored_row)) else stored_row


def _renewed(before: Item | None, item: Item) -> Item:
    return item if before is None else before._replace(expires=item.expires, origin=item.origin)
