"""Segments and origins by small numbers, which the packed memberships hold; all of them are kept in memory."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Named(NamedTuple):
    """A generation of a segment."""

    segment: str
    segment_id: str


ORIGINS_MAX = 256
UNKNOWN_ORIGIN = 0
"""The key of the origin that no state record has told."""


class Names:
    """Written by the one who writes the store; read by anyone at any time."""

    def __init__(self, segments: Iterable[tuple[int, str, str]], origins: Iterable[tuple[int, str]]) -> None:
        self.segments: dict[int, Named] = {}
        self.origins: dict[int, str | None] = {UNKNOWN_ORIGIN: None}
        self._keys: dict[str, int] = {}
        self._by_name: dict[str, tuple[int, ...]] = {}
        self._origin_keys: dict[str, int] = {}
        for key, segment_id, segment in segments:
            self._learn(key, segment_id, segment)
        for key, origin in origins:
            self.origins[key] = origin
            self._origin_keys[origin] = key
        self.keep()

    def key(self, segment_id: str, segment: str) -> int:
        """The segment's key, a new one if need be; raises ValueError for what can't be a segment."""
        found = self._keys.get(segment_id)
        if found is not None:
            return found
        if not (isinstance(segment_id, str) and segment_id and isinstance(segment, str) and segment):
            raise ValueError("a segment without a name or an id")
        key = len(self.segments) + 1
        self._learn(key, segment_id, segment)
        self.new_segments.append((key, segment_id, segment))
        return key

    def origin_key(self, origin: str) -> int:
        """The origin's key, a new one if need be."""
        found = self._origin_keys.get(origin)
        if found is not None:
            return found
        key = len(self.origins)
        if not isinstance(origin, str) or key >= ORIGINS_MAX:
            raise ValueError("an origin that is no text, or one too many")
        self.origins[key] = origin
        self._origin_keys[origin] = key
        self.new_origins.append((key, origin))
        return key

    def named(self, segment: str) -> tuple[int, ...]:
        """The keys of all generations of this name."""
        return self._by_name.get(segment, ())

    def keep(self) -> None:
        """The store has what is new."""
        self.new_segments: list[tuple[int, str, str]] = []
        self.new_origins: list[tuple[int, str]] = []

    def _learn(self, key: int, segment_id: str, segment: str) -> None:
        self.segments[key] = Named(segment, segment_id)
        self._keys[segment_id] = key
        self._by_name[segment] = (*self._by_name.get(segment, ()), key)
