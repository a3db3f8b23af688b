"""Halving a batch: each record stays in one half, and each half claims what it holds."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.line.received import garbage, received
from worker.line.batch import Batch, Received, Sorted, Span, halves, sort


def record(topic: str, partition: int, offset: int) -> Received:
    made: Received = received("user.register", {"user_id": "u"}, partition=partition, offset=offset)
    return made._replace(topic=topic)


def test_a_partition_is_cut_in_the_middle() -> None:
    batch = Batch(tuple(record("t", 0, offset) for offset in (3, 4, 5, 6)), (Span("t", 0, 9, 3, 7),))
    first, second = halves(batch)
    assert first == Batch(batch.records[:2], (Span("t", 0, 9, 3, 5),))
    assert second == Batch(batch.records[2:], (Span("t", 0, 9, 5, 7),))


def test_a_whole_partition_stays_in_its_half() -> None:
    batch = Batch((record("t", 0, 3), record("t", 1, 8)), (Span("t", 0, 1, 3, 4), Span("t", 1, 1, 8, 9)))
    first, second = halves(batch)
    assert first.spans == (Span("t", 0, 1, 3, 4),)
    assert second.spans == (Span("t", 1, 1, 8, 9),)


def test_a_gap_behind_the_last_record_goes_with_it() -> None:
    """Transaction markers: the span ends after them."""
    batch = Batch((record("t", 0, 3), record("t", 0, 5)), (Span("t", 0, 1, 2, 9),))
    first, second = halves(batch)
    assert first.spans == (Span("t", 0, 1, 2, 4),)
    assert second.spans == (Span("t", 0, 1, 4, 9),)


def test_each_kind_keeps_its_order() -> None:
    query, unreadable = received("membership.query", {"user_id": "u"}), garbage(b"hello?")
    good, other = [received("user.register", {"user_id": "u"}, offset=offset) for offset in (1, 2)]
    found = sort([good, query, unreadable, other])
    assert found == Sorted(refused=[unreadable], queries=[query], commands=[good, other])


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    records: list[Received] = []
    spans: list[Span] = []
    for partition in range(draw(st.integers(1, 4))):
        begin = draw(st.integers(0, 5))
        offsets = sorted(draw(st.sets(st.integers(begin, begin + 20), max_size=6)))
        end = draw(st.integers(max([begin, *(offset + 1 for offset in offsets)]), begin + 25))
        if end > begin:
            records += [record("t", partition, offset) for offset in offsets]
            spans.append(Span("t", partition, 1, begin, end))
    return Batch(tuple(records), tuple(spans))


@given(batches().filter(lambda batch: len(batch.records) > 1))
def test_halves_make_the_whole(batch: Batch) -> None:
    """In order, without a gap between them, nothing twice, and neither without a record."""
    first, second = halves(batch)
    assert first.records + second.records == batch.records
    assert first.records
    assert second.records
    for half in (first, second):
        for one in half.records:
            assert [s for s in half.spans if s.partition == one.partition and s.begin <= one.offset < s.end]
    for span in batch.spans:
        parts = [one for half in (first, second) for one in half.spans if one.partition == span.partition]
        assert parts[0].begin == span.begin
        assert parts[-1].end == span.end
        assert all(before.end == after.begin for before, after in itertools.pairwise(parts))
        assert all(part.begin < part.end for part in parts)
