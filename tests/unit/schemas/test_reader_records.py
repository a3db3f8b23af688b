"""Records that must not be taken, and topics that are not those that were read."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError, Message

from schemas.reader import OutdatedError, ReaderError, TopicChangedError, UnexpectedRecordError, UnreadableRecordError
from tests.support.kept import EVENTS, STATES, Clock, Record, changed, item, kept, state, tombstone

GOOD = json.loads(state(0, "sam", 1, "beta").value)
BROKEN: dict[str, bytes] = {
    "no JSON": b"\x00\x00\x00\x00\x07sam",
    "a list": b"[]",
    "nothing": b"",
    "another user": json.dumps(GOOD | {"user_id": "ada"}).encode(),
    "no sequence": json.dumps({"user_id": "sam", "segments": []}).encode(),
    "a sequence as text": json.dumps(GOOD | {"sequence": "1"}).encode(),
    "a sequence past all": json.dumps(GOOD | {"sequence": 2**63}).encode(),
    "segments that are no list": json.dumps(GOOD | {"segments": {"beta": 1}}).encode(),
    "a segment without an id": json.dumps(GOOD | {"segments": [{**item("beta"), "segment_id": None}]}).encode(),
    "an id that is a list": json.dumps(GOOD | {"segments": [{**item("beta"), "segment_id": []}]}).encode(),
    "a time without a zone": json.dumps(GOOD | {"segments": [{**item("beta"), "since": "2026-11-24"}]}).encode(),
    "a time that is none": json.dumps(GOOD | {"segments": [item("beta", "soon")]}).encode(),
    "a time that is a number": json.dumps(GOOD | {"segments": [{**item("beta"), "since": 5}]}).encode(),
}


@pytest.mark.parametrize("what", BROKEN)
async def test_a_record_that_says_nothing_stops_with_its_place(tmp_path: Path, what: str) -> None:
    broken = Record(STATES, 0, 1, b"sam", BROKEN[what])
    with kept(tmp_path) as one:
        await one.begin()
        batch = [state(0, "ada", 1, "beta"), broken, state(2, "sam", 3, "sale")]
        for _ in range(2):  # handed over again it is the same
            with pytest.raises(
                UnreadableRecordError, match=f"at {STATES}, partition 0, offset 1 can't be read"
            ) as found:
                one.memberships.apply(batch)
        assert (found.value.topic, found.value.partition, found.value.offset) == (STATES, 0, 1)
        assert one.memberships.segments_of("ada") == {"beta"}
        assert one.memberships.segments_of("sam") == frozenset()
    with kept(tmp_path, skip_unreadable=True) as one:
        await one.begin()
        one.memberships.apply(batch)
        assert one.memberships.skipped == 1
        assert one.memberships.segments_of("sam") == {"sale"}


@pytest.mark.parametrize(
    "broken",
    [
        Record(STATES, 0, 0, None, state(0, "sam", 1).value),
        Record(STATES, 0, 0, b"\xff", state(0, "sam", 1).value),
        replace(tombstone(0, "sam", 1), headers=(("ce_sequence", b"one"),)),
        replace(changed(0, "sam", 1), value=None),
        replace(changed(0, "sam", 1), value=b'{"type": "segmentation.membership.changed.v1"}'),
    ],
)
async def test_what_else_cannot_be_read(tmp_path: Path, broken: Record) -> None:
    with kept(tmp_path) as one:
        await one.begin((STATES, 0), (EVENTS, 0))
        with pytest.raises(UnreadableRecordError):
            one.memberships.apply([broken])


@pytest.mark.parametrize(
    ("record", "says"),
    [
        (Record(STATES, 7, 0, b"sam", b"{}"), "partition 7 was handed over, which `begin` was not told of"),
        (Record("orders", 0, 0, b"sam", b"{}"), "A record of orders"),
        (Record(STATES, 0, 0, "sam", b"{}"), "leave the consumer's deserializers out"),
        (Record(STATES, 0, 0, b"sam", {}), "leave the consumer's deserializers out"),
        ("text", "A str was handed over, which is no record"),
        (Message(topic=STATES, partition=0, error=KafkaError(KafkaError._ALL_BROKERS_DOWN)), "an error instead"),
    ],
)
async def test_what_is_no_record_of_these_topics(tmp_path: Path, record: Any, says: str) -> None:
    with kept(tmp_path) as one:
        await one.begin()
        with pytest.raises(UnexpectedRecordError, match=says):
            one.memberships.apply([record])


async def test_records_before_begin(tmp_path: Path) -> None:
    with kept(tmp_path) as one:
        with pytest.raises(ReaderError, match="Call `begin`"):
            one.memberships.apply([state(0, "sam", 1)])
        with pytest.raises(ReaderError, match="Call `begin`"):
            await one.memberships.ready()


@pytest.mark.parametrize(
    "partitions",
    [[(EVENTS, 0)], [("orders", 0), (STATES, 0)], [(STATES, 0), ("other.membership-events", 0)], [("a.b", 0)]],
)
async def test_topics_that_do_not_belong_together(tmp_path: Path, partitions: list[tuple[str, int]]) -> None:
    with kept(tmp_path) as one, pytest.raises(ReaderError, match="all partitions of a deployment's topic"):
        await one.begin(*partitions)


async def test_an_end_that_is_not_told(tmp_path: Path) -> None:
    with kept(tmp_path) as one, pytest.raises(ReaderError, match=r"does not say where partition 1 of .* ends"):
        await one.memberships.begin({(STATES, 0): 0, (STATES, 1): 0}, one.ask)


class TestATopicThatWasMadeAnew:
    """Each of its signs is an error that says how to begin anew."""

    async def test_it_ends_before_what_was_read(self, tmp_path: Path) -> None:
        with kept(tmp_path) as one:
            await one.begin()
            one.memberships.apply([state(n, "sam", n) for n in range(5)])
            one.ends[STATES, 0] = 3
            with pytest.raises(TopicChangedError, match=r"ends at 3, but was read up to 5.*`memberships\.rebuild\(\)`"):
                await one.begin()

    async def test_it_begins_after_what_was_read(self, tmp_path: Path) -> None:
        with kept(tmp_path) as one:
            await one.begin()
            one.memberships.apply([state(0, "sam", 1)])
            one.ends[STATES, 0] = 100
            with pytest.raises(TopicChangedError, match="begins at 50, but was read up to 1"):
                await one.memberships.begin({(STATES, 0): 50}, one.ask)
            assert await one.memberships.begin({(STATES, 0): 1}, one.ask) == {(STATES, 0): 1}

    async def test_its_last_record_is_another_one(self, tmp_path: Path) -> None:
        with kept(tmp_path) as one:
            await one.begin()
            one.memberships.apply([state(n, "sam", n, "beta") for n in range(5)])
            one.ends[STATES, 0] = 100
            assert await one.begin() == {(STATES, 0): 4}
            one.memberships.apply([state(4, "sam", 4, "beta")])
            with pytest.raises(TopicChangedError, match="offset 4 holds another record than before"):
                one.memberships.apply([state(4, "sam", 4, "sale")])

    async def test_it_comes_from_the_beginning(self, tmp_path: Path) -> None:
        with kept(tmp_path) as one:
            await one.begin()
            one.memberships.apply([state(0, "sam", 1), state(1, "sam", 2)])
            one.memberships.apply([state(2, "sam", 3)])
            with pytest.raises(TopicChangedError, match=r"offset 0 was handed over although .* read up to 3"):
                one.memberships.apply([state(0, "ada", 4)])

    async def test_the_numbers_of_events_go_back(self, tmp_path: Path) -> None:
        with kept(tmp_path) as one:
            await one.begin((STATES, 0), (EVENTS, 0))
            one.memberships.apply([changed(0, "sam", 9, entered=("beta",))])
            with pytest.raises(TopicChangedError, match="sequence 3 after 9: the deployment's database was set back"):
                one.memberships.apply([changed(1, "ada", 9, entered=("new",)), changed(2, "sam", 3, exited=("beta",))])
            assert one.memberships.segments_of("sam") == {"beta"}
            assert one.memberships.segments_of("ada") == {"new"}

    async def test_it_has_fewer_partitions(self, tmp_path: Path) -> None:
        with kept(tmp_path) as one:
            await one.begin((STATES, 0), (STATES, 1))
            one.memberships.apply([state(0, "sam", 1, partition=1)])
            with pytest.raises(TopicChangedError, match=r"read from partition 1 of .* not among those"):
                await one.begin((STATES, 0))
            assert await one.begin((STATES, 0), (STATES, 1), (STATES, 2))


async def test_after_a_gap_in_which_tombstones_go(tmp_path: Path) -> None:
    clock = Clock()
    with kept(tmp_path, clock=clock) as one:
        await one.begin()
        one.memberships.apply([state(0, "sam", 1)])
        clock.now += 86_000
        one.memberships.apply([])  # a poll that brought nothing counts
    with kept(tmp_path, clock=clock) as one:
        clock.now += 86_000
        await one.begin()
        clock.now += 3_600
        with pytest.raises(OutdatedError, match=r"last read on 24\.9 h ago.* for 24\.0 h: begin anew"):
            await one.begin()
        await one.begin(delete_retention_seconds=90_000)


async def test_the_last_batch_may_be_handed_over_again(tmp_path: Path) -> None:
    batch = [state(0, "sam", 1, "beta"), state(1, "sam", 2, "sale")]
    with kept(tmp_path) as one:
        await one.begin()
        one.memberships.apply(batch)
        one.memberships.apply(batch)
        assert one.memberships.segments_of("sam") == {"sale"}
