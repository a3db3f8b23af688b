"""What flows along the line: records with what they turned out to be, and the batches that are applied as one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from schemas.decode import Command, Refusal


class Received(NamedTuple):
    """One record, decoded. Its bytes are kept as well, for a rejection shows them."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    record_bytes: int
    what: Command | Refusal


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
