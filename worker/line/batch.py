"""Records with what they were decoded to, and the batches that are applied in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple

from typing_extensions import TypeVar  # pydantic brings it; it has defaults

from schemas.commands import MembershipQuery
from schemas.decode import Command, DataT_co, Refusal

QUERY = "membership.query"
"""The one command that changes nothing: it is answered, not journaled."""
WhatT_co = TypeVar("WhatT_co", default=Command | Refusal, covariant=True)


class Received(NamedTuple, Generic[WhatT_co]):
    """One record and what it was decoded to. Its bytes are kept as well, since a rejection shows them."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    record_bytes: int
    what: WhatT_co


ReceivedCommand = Received[Command[DataT_co]]


class Span(NamedTuple):
    """The offsets of one partition that a batch takes: from `begin` to before `end`, in the owner's `epoch`."""

    topic: str
    partition: int
    epoch: int
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Records in the order in which they are applied: segment commands first, a partition's in offset order."""

    records: tuple[Received, ...]
    spans: tuple[Span, ...]


def halves(batch: Batch) -> tuple[Batch, Batch]:
    """The batch cut in the middle, each half with its own spans, to be applied one after the other."""
    middle = len(batch.records) // 2
    first, second = batch.records[:middle], batch.records[middle:]
    cuts = {(record.topic, record.partition): record.offset + 1 for record in first}
    last = {(record.topic, record.partition) for record in second}
    spans_first, spans_second = [], []
    for span in batch.spans:
        place = (span.topic, span.partition)
        cut = cuts.get(place, span.begin) if place in last else span.end
        if cut > span.begin:
            spans_first.append(span._replace(end=cut))
        if cut < span.end:
            spans_second.append(span._replace(begin=cut))
    return Batch(first, tuple(spans_first)), Batch(second, tuple(spans_second))


class Sorted(NamedTuple):
    """A batch's records by what they are, each kind in the order of the batch."""

    refused: list[Received[Refusal]]
    queries: list[ReceivedCommand[MembershipQuery]]
    commands: list[ReceivedCommand[Any]]
    """Those that may change something; the handler of a command's type knows the type of its data."""


def sort(records: Sequence[Received]) -> Sorted:
    """Sort records by what they are; from here on each kind has a type of its own."""
    found: dict[bool | None, list[Any]] = {None: [], True: [], False: []}
    for record in records:
        what = record.what
        found[None if isinstance(what, Refusal) else what.type == QUERY].append(record)
    return Sorted(refused=found[None], queries=found[True], commands=found[False])
