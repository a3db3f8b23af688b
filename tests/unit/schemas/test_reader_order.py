"""States and events in any order that Kafka allows add up to the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.kept import EVENTS, STATES, Record, changed, kept, state, tombstone

USERS = ("ada", "sam")
SEGMENTS = ("beta", "new", "sale")


@dataclass(slots=True)
class History:
    """What the relay wrote of a random journal: rows, transactions of some of them, each with the states after it."""

    states: list[Record] = field(default_factory=list)
    events: list[Record] = field(default_factory=list)
    truth: dict[str, list[tuple[int, frozenset[str] | None]]] = field(default_factory=dict)

    def at(self, user: str, sequence: int) -> frozenset[str] | None:
        """What the user was in as of that row; None: not there."""
        found = [held for number, held in self.truth[user] if number <= sequence]
        return found[-1] if found else None

    def was_forgotten(self, user: str) -> bool:
        """Of such a user the reader keeps no sequence, so that on the way it may go back for a moment."""
        return any(held is None for _, held in self.truth[user])


def history(chance: Random, rows: int) -> History:
    """A journal of so many rows, published in transactions; states may be newer than the events beside them."""
    made, held = History(truth={user: [] for user in USERS}), dict[str, set[str]]()
    for sequence in range(1, rows + 1):
        user = chance.choice(USERS)
        if user in held and chance.random() < 0.2:
            del held[user]
            made.events.append(changed(2 * sequence, user, sequence, reason="user_forgotten"))
        else:
            before = held.setdefault(user, set())
            after = {segment for segment in SEGMENTS if chance.random() < 0.5}
            entered, exited = tuple(after - before), tuple(before - after)
            made.events.append(changed(2 * sequence, user, sequence, entered=entered, exited=exited))
            held[user] = after
        made.truth[user].append((sequence, frozenset(held[user]) if user in held else None))
    published = 0
    while published < rows:
        begin, published = published, chance.randint(published + 1, rows)
        head = chance.randint(published, rows)
        if made.states and (last := int(dict(made.states[-1].headers)["ce_sequence"])) > head:
            head = last
        for user in sorted({record.key.decode() for record in made.events[begin:published]}):
            now, offset = made.at(user, head), 3 * len(made.states)
            made.states.append(
                tombstone(offset, user, head) if now is None else state(offset, user, head, *sorted(now))
            )
    return made


def compacted(records: list[Record], chance: Random) -> list[Record]:
    """Some of what a later record of the same key replaces is gone."""
    last = {record.key: record.offset for record in records}
    return [record for record in records if record.offset == last[record.key] or chance.random() < 0.5]


def interleaved(one: list[Record], two: list[Record], chance: Random) -> Iterator[list[Record]]:
    """Both partitions in their own order, in batches that come as they come."""
    logs = [one[:], two[:]]
    while any(logs):
        batch = []
        for _ in range(chance.randint(1, 4)):
            log = chance.choice([log for log in logs if log] or [[]])
            batch += [log.pop(0)] if log else []
        yield batch


@pytest.mark.parametrize("compaction", [False, True])
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32), rows=st.integers(1, 25))
async def test_any_order_ends_at_the_truth(compaction: bool, seed: int, rows: int) -> None:
    chance = Random(seed)
    made = history(chance, rows)
    states = compacted(made.states, chance) if compaction else made.states
    with TemporaryDirectory() as folder, kept(Path(folder)) as one:
        await one.begin((STATES, 0), (EVENTS, 0))
        for batch in interleaved(states, made.events, chance):
            one.memberships.apply(batch)
            for user in USERS:
                sequence = one.memberships.sequence_of(user)
                if not (compaction or sequence is None or made.was_forgotten(user)):
                    assert one.memberships.segments_of(user) == made.at(user, sequence)
        assert {user: one.memberships.segments_of(user) for user in USERS} == {
            user: made.at(user, rows) or frozenset() for user in USERS
        }


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32), rows=st.integers(1, 25))
async def test_either_topic_alone_is_enough(seed: int, rows: int) -> None:
    """States to the end; or states up to some point, and then events from before it."""
    chance = Random(seed)
    made = history(chance, rows)
    until = chance.randint(0, len(made.states))
    for states, events in ((compacted(made.states, chance), []), (made.states[:until], made.events)):
        with TemporaryDirectory() as folder, kept(Path(folder)) as one:
            await one.begin((STATES, 0), (EVENTS, 0))
            one.memberships.apply(states)
            for record in events:
                one.memberships.apply([record])
            assert {user: one.memberships.segments_of(user) for user in USERS} == {
                user: made.at(user, rows) or frozenset() for user in USERS
            }


async def test_what_is_older_than_the_state_is_dropped(tmp_path: Path) -> None:
    with kept(tmp_path) as one:
        await one.begin((STATES, 0), (EVENTS, 0))
        one.memberships.apply([state(0, "sam", 5, "beta")])
        one.memberships.apply([changed(0, "sam", 4, exited=("beta",)), changed(1, "sam", 5, exited=("beta",))])
        assert one.memberships.segments_of("sam") == {"beta"}
        one.memberships.apply([changed(2, "sam", 6, entered=("new",), renewed={"beta": "2026-01-01T00:00:00Z"})])
        assert one.memberships.segments_of("sam") == {"new"}
        assert one.memberships.sequence_of("sam") == 6
        one.memberships.apply([state(1, "sam", 5, "beta"), state(2, "ada", 5)])
        assert one.memberships.segments_of("sam") == {"new"}
        one.memberships.apply([tombstone(3, "sam", 5)])
        assert one.memberships.segments_of("sam") == {"new"}
        one.memberships.apply([tombstone(4, "sam", None)])
        assert one.memberships.sequence_of("sam") is None


@pytest.mark.parametrize("is_one_batch", [True, False])
async def test_the_later_state_of_a_partition_is_the_present(tmp_path: Path, is_one_batch: bool) -> None:
    """Also where the deployment was set back, and its numbers with it; between partitions the numbers decide."""
    records = [
        state(0, "sam", 9, "beta"),
        state(1, "ada", 9, "beta"),
        state(2, "sam", 5, "sale"),
        tombstone(3, "ada", 5),
        state(0, "sam", 4, "old", partition=1),
        tombstone(1, "sam", 4, partition=1),
    ]
    with kept(tmp_path) as one:
        await one.begin((STATES, 0), (STATES, 1))
        for batch in [records] if is_one_batch else [[record] for record in records]:
            one.memberships.apply(batch)
        assert one.memberships.segments_of("sam") == {"sale"}
        assert one.memberships.sequence_of("ada") is None
        one.memberships.apply([state(2, "sam", 6, "new", partition=1)])
        assert one.memberships.segments_of("sam") == {"new"}


async def test_events_of_types_that_nobody_knows_yet_are_passed_over(tmp_path: Path) -> None:
    later = Record(EVENTS, 0, 0, b"sam", b'{"type": "segmentation.membership.merged.v1"}')
    with kept(tmp_path) as one:
        await one.begin((STATES, 0), (EVENTS, 0))
        one.memberships.apply([later, changed(1, "sam", 1, entered=("beta",), reason="of-a-later-version")])
        assert one.memberships.segments_of("sam") == {"beta"}
