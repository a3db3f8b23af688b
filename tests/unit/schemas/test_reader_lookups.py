"""What the reader answers once records are in."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Message

from schemas.reader import Memberships
from tests.support.kept import EVENTS, NOW, STATES, Clock, Record, changed, item, kept, segment_id, state, tombstone

LATER = datetime.fromtimestamp(NOW + 60, UTC).isoformat()


def as_message(record: Record) -> Any:
    """The record as confluent-kafka hands it out."""
    return Message(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        key=record.key,
        value=record.value,
        headers=list(record.headers),
    )


@pytest.mark.parametrize("form", [lambda record: record, as_message], ids=["aiokafka", "confluent-kafka"])
async def test_a_state_replaces_the_one_before_and_a_tombstone_all(tmp_path: Path, form: Any) -> None:
    with kept(tmp_path) as one:
        await one.begin()
        memberships = one.memberships
        await memberships.take([form(state(0, "sam", 1, "beta", "sale")), form(state(1, "ada", 2))])
        assert memberships.segments_of("sam") == {"beta", "sale"}
        assert (memberships.is_in("sam", "beta"), memberships.is_in("sam", "gone")) == (True, False)
        assert (memberships.sequence_of("sam"), memberships.sequence_of("ada")) == (1, 2)
        assert memberships.segments_of("ada") == memberships.segments_of("nobody") == frozenset()
        await memberships.take([form(state(2, "sam", 3, "sale"))])
        assert memberships.segments_of("sam") == {"sale"}
        assert not memberships.is_in("sam", "beta")
        await memberships.take([form(tombstone(3, "sam", 4))])
        assert (memberships.segments_of("sam"), memberships.sequence_of("sam")) == (frozenset(), None)


async def test_an_expiry_is_read_against_the_readers_own_clock(tmp_path: Path) -> None:
    clock = Clock()
    with kept(tmp_path, clock=clock) as one:
        await one.begin()
        one.memberships.apply([state(0, "sam", 1, "beta", item("sale", LATER))])
        clock.now += 59.999
        assert one.memberships.segments_of("sam") == {"beta", "sale"}
        clock.now = NOW + 60
        assert one.memberships.segments_of("sam") == {"beta"}
        assert not one.memberships.is_in("sam", "sale")
        assert [one.segment for one in one.memberships.details_of("sam")] == ["beta"]


async def test_details(tmp_path: Path) -> None:
    with kept(tmp_path) as one:
        await one.begin((STATES, 0), (EVENTS, 0))
        one.memberships.apply([state(0, "sam", 1, item("sale", LATER, "rollout"), "beta")])
        one.memberships.apply([changed(0, "sam", 2, entered=("new",))])
        since = datetime(2026, 11, 24, 15, 37, 30, 123456, UTC)
        assert one.memberships.details_of("sam") == [
            ("beta", segment_id("beta"), "command", since, None),
            ("new", segment_id("new"), None, since, None),
            ("sale", segment_id("sale"), "rollout", since, datetime.fromtimestamp(NOW + 60, UTC)),
        ]


async def test_names_of_any_script_and_ids_that_are_no_text(tmp_path: Path) -> None:
    names = ["Ωμέγα", "名前😀", "é", "e\u0301", "O'Hara;--", "1e5", "001"]
    with kept(tmp_path) as one:
        await one.begin()
        one.memberships.apply([state(n, name, n, f"s-{name}") for n, name in enumerate(names)])
        assert [one.memberships.segments_of(name) for name in names] == [{f"s-{name}"} for name in names]
        assert one.memberships.segments_of("\ud800") == frozenset()
    with kept(tmp_path) as one:
        assert one.memberships.is_in("名前😀", "s-名前😀")


async def test_a_user_in_ten_thousand_segments(tmp_path: Path) -> None:
    segments = [f"segment-{n}" for n in range(10_000)]
    with kept(tmp_path) as one:
        await one.begin()
        one.memberships.apply([state(0, "sam", 1, *segments)])
        assert one.memberships.segments_of("sam") == set(segments)
        assert all(one.memberships.is_in("sam", segments[n]) for n in (0, 1, 4_999, 5_000, 9_998, 9_999))
        one.memberships.apply([state(1, "sam", 2, *segments[::2])])
        assert [one.memberships.is_in("sam", segments[n]) for n in range(6)] == [True, False] * 3


async def test_a_name_that_was_used_again_is_another_segment(tmp_path: Path) -> None:
    """Its events tell the generations apart by their ids."""
    again = item("beta") | {"segment_id": segment_id("another")}
    with kept(tmp_path) as one:
        await one.begin((STATES, 0), (EVENTS, 0))
        one.memberships.apply([state(0, "sam", 1, again), changed(0, "sam", 2, exited=("beta",), reason="expiry")])
        assert one.memberships.is_in("sam", "beta")
        assert one.memberships.segments_of("sam") == {"beta"}


async def test_what_is_on_disk_answers_before_kafka_does(tmp_path: Path) -> None:
    with kept(tmp_path) as one:
        await one.begin()
        one.memberships.apply([state(0, "sam", 1, "beta")])
    with Memberships.open(str(tmp_path)) as memberships:
        assert memberships.is_in("sam", "beta")
