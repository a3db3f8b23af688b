"""Records with what they were decoded to, and the batches that are applied in one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple

from typing_extensions import TypeVar  # pydantic brings it; it has defaults

from schemas.commands import Change, MembershipQuery
from schemas.decode import Command, DataT_co, Refusal
from schemas.rejections import RejectionCode

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
    """The batch cut in the middle, to be applied one after the other."""
    return cut(batch, len(batch.records) // 2)


def cut(batch: Batch, count: int) -> tuple[Batch, Batch]:
    """The batch's first records, so many, and the others, each with their own spans."""
    first, second = batch.records[:count], batch.records[count:]
    cuts = {(record.topic, record.partition): record.offset + 1 for record in first}
    last = {(record.topic, record.partition) for record in second}
    spans_first, spans_second = [], []
    for span in batch.spans:
        place = (span.topic, span.partition)
        middle = cuts.get(place, span.begin) if place in last else span.end
        if middle > span.begin:
            spans_first.append(span._replace(end=middle))
        if middle < span.end:
            spans_second.append(span._replace(begin=middle))
    return Batch(first, tuple(spans_first)), Batch(second, tuple(spans_second))


def parts(batch: Batch, segments_max: int) -> Iterator[Batch]:
    """The batch in as few parts as have at most so many segments in membership commands, or one such command."""
    count = segments = 0
    for record in batch.records:
        data = record.what.data if isinstance(record.what, Command) else None
        added = len(data.add) + len(data.remove) if isinstance(data, Change) else 0
        if segments + added > segments_max and count:
            first, batch = cut(batch, count)
            yield first
            count = segments = 0
        segments += added
        count += 1
    yield batch


def bare(record: Received, failure: str | None = None) -> Received[Refusal]:
    """The record without anything of its own but its place; as `failed`, unless it was refused before."""
    refusal = record.what if isinstance(record.what, Refusal) else None
    what = Refusal(
        code=refusal.code if refusal else RejectionCode.FAILED,
        message=failure or "The record can't be shown: the database does not take it.",
        errors=[],
        command_id=None,
        command_source=None,
        command_type=None,
        correlationid=None,
        traceparent=None,
    )
    return Received(record.topic, record.partition, record.offset, None, None, record.record_bytes, what)


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
