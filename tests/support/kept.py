"""Records as the relay writes them, and memberships that read them without Kafka."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from schemas.envelope import STRUCTURED_HEADERS, qualified
from schemas.reader import Memberships

STATES = "segmentation.memberships"
EVENTS = "segmentation.membership-events"
FAR = 1_000_000
NOW = 1_800_000_000.0
SINCE = "2026-11-24T15:37:30.123456Z"


@dataclass(frozen=True, slots=True)
class Record:
    """With the attributes of aiokafka's."""

    topic: str
    partition: int
    offset: int
    key: Any
    value: Any
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass(slots=True)
class Kept:
    """Opened memberships, a clock, and the end of each partition that Kafka would tell."""

    memberships: Memberships
    ends: dict[tuple[str, int], int] = field(default_factory=dict)
    asked: int = 0

    async def ask(self) -> Mapping[tuple[str, int], int]:
        """Where the partitions end."""
        self.asked += 1
        return dict(self.ends)

    async def begin(self, *partitions: tuple[str, int], **options: Any) -> dict[tuple[str, int], int]:
        """Begin with these partitions, each from 0 and with its end far off, unless another is set."""
        for partition in partitions:
            self.ends.setdefault(partition, FAR)
        return await self.memberships.begin(dict.fromkeys(partitions or [(STATES, 0)], 0), self.ask, **options)


class Clock:
    """Seconds since 1970, by hand."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@contextlib.contextmanager
def kept(folder: Path, **options: Any) -> Iterator[Kept]:
    """Memberships in the folder, closed in the end."""
    with Memberships.open(folder, **{"clock": Clock(), **options}) as memberships:
        yield Kept(memberships, {(STATES, 0): FAR})


def segment_id(segment: str) -> str:
    """The same for the same name."""
    return str(uuid5(NAMESPACE_OID, segment))


def item(segment: str, expires_at: str | None = None, origin: str = "command") -> dict[str, Any]:
    """A segment of a state."""
    return {
        "segment": segment,
        "segment_id": segment_id(segment),
        "origin": origin,
        "since": SINCE,
        "expires_at": expires_at,
    }


def state(offset: int, user_id: str, sequence: int, *segments: str | dict[str, Any], partition: int = 0) -> Record:
    """A user's state."""
    items = [item(segment) if isinstance(segment, str) else segment for segment in segments]
    value = {"user_id": user_id, "sequence": sequence, "segments": items}
    headers = (("ce_sequence", str(sequence).encode()),)
    return Record(STATES, partition, offset, user_id.encode(), json.dumps(value).encode(), headers)


def tombstone(offset: int, user_id: str, sequence: int | None, partition: int = 0) -> Record:
    """A user was forgotten."""
    headers = () if sequence is None else (("ce_sequence", str(sequence).encode()),)
    return Record(STATES, partition, offset, user_id.encode(), None, headers)


def changed(
    offset: int,
    user_id: str,
    sequence: int,
    *,
    entered: tuple[str, ...] = (),
    renewed: Mapping[str, str | None] | None = None,
    exited: tuple[str, ...] = (),
    reason: str = "command",
    partition: int = 0,
) -> Record:
    """An event."""
    data = {
        "user_id": user_id,
        "reason": reason,
        "entered": [{"segment": one, "segment_id": segment_id(one), "expires_at": None} for one in entered],
        "renewed": [
            {"segment": one, "segment_id": segment_id(one), "expires_at": expires}
            for one, expires in (renewed or {}).items()
        ],
        "exited": [{"segment": one, "segment_id": segment_id(one)} for one in exited],
        "unchanged": [],
    }
    event = {"type": qualified("membership.changed"), "time": SINCE, "sequence": str(sequence), "data": data}
    return Record(EVENTS, partition, offset, user_id.encode(), json.dumps(event).encode(), STRUCTURED_HEADERS)
