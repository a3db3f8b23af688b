"""Rounds: within one no key stands twice, and each key's commands keep their order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from schemas.commands import CommandType
from schemas.producer import Place
from schemas.topics import Topic
from tests.unit.line.received import received
from worker.line.batch import ReceivedCommand
from worker.line.rounds import Round, rounds

NOW = datetime(2026, 5, 10, 12, tzinfo=UTC)


def change(user: str, offset: int) -> ReceivedCommand[Any]:
    return received("membership.change", {"user_id": user, "add": ["a"]}, offset=offset)


def offsets(turns: list[Round]) -> list[dict[str, list[int]]]:
    return [{kind: [one.offset for one in records] for kind, records in turn.items()} for turn in turns]


def test_different_users_share_a_round() -> None:
    assert offsets(rounds([change("a", 0), change("b", 1), change("c", 2)], NOW)) == [{"membership.change": [0, 1, 2]}]


def test_one_users_commands_take_turns() -> None:
    records = [
        received("user.register", {"user_id": "a"}, offset=0),
        change("a", 1),
        change("b", 2),
        received("user.forget", {"user_id": "a"}, offset=3),
    ]
    assert offsets(rounds(records, NOW)) == [
        {"user.register": [0], "membership.change": [2]},
        {"membership.change": [1]},
        {"user.forget": [3]},
    ]


def test_segments_come_first() -> None:
    """Also if their commands were read later."""
    records = [
        change("a", 0),
        received("segment.create", {"segment": "a"}, offset=1),
        received("segment.delete", {"segment": "a"}, offset=2),
    ]
    assert offsets(rounds(records, NOW)) == [
        {"segment.create": [1]},
        {"segment.delete": [2]},
        {"membership.change": [0]},
    ]


def test_a_segment_and_a_user_of_one_name_are_two_keys() -> None:
    records = [received("segment.create", {"segment": "x"}, offset=0), change("x", 1)]
    assert offsets(rounds(records, NOW)) == [{"segment.create": [0]}, {"membership.change": [1]}]


def test_what_takes_effect_later_and_what_takes_it_back_keep_the_order_of_their_key() -> None:
    """Where the cancelling command comes first, it must find nothing."""

    def at(record: ReceivedCommand[Any], **ahead: float) -> ReceivedCommand[Any]:
        return record._replace(what=record.what._replace(effective_at=NOW + timedelta(**ahead)))

    def cancel(topic: str, key: str, offset: int) -> ReceivedCommand[Any]:
        data = {"command_id": "1", "command_source": "/s"}
        place = Place(Topic.SEGMENT_COMMANDS, key.encode())
        return received("schedule.cancel", data, offset=offset, place=place)._replace(topic=f"p.{topic}")

    records = [
        cancel("segment-commands", "x", 0),
        at(received("segment.delete", {"segment": "x"}, offset=1), days=1),
        received("segment.create", {"segment": "x"}, offset=2),
        at(change("x", 3), days=1),
        cancel("membership-commands", "x", 4),
        at(change("y", 5), days=0),
        at(received("import.commit", {"import": "x"}, offset=6), seconds=1),
        cancel("import-commands", "x", 7),
    ]
    assert offsets(rounds(records, NOW)) == [
        {"schedule.cancel": [0]},
        {"later": [1]},
        {"segment.create": [2]},
        {"later": [3, 6], "membership.change": [5]},
        {"schedule.cancel": [4, 7]},
    ]


def test_nothing_makes_no_round() -> None:
    assert rounds([], NOW) == []


KINDS: list[CommandType] = ["segment.create", "segment.delete", "user.register", "membership.change", "user.forget"]


@given(st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from("abc")), max_size=30))
def test_rounds_keep_each_keys_order(commands: list[tuple[CommandType, str]]) -> None:
    records = []
    for offset, (kind, key) in enumerate(commands):
        data: dict[str, object] = {"segment": key} if kind.startswith("segment") else {"user_id": key}
        records.append(received(kind, data | ({"add": ["s"]} if kind == "membership.change" else {}), offset=offset))
    turns = rounds(records, NOW)
    seen: dict[tuple[bool, bytes | None], list[int]] = {}
    for turn in turns:
        keys = [_key(one) for group in turn.values() for one in group]
        assert len(keys) == len(set(keys))
        for name, group in turn.items():
            assert {one.what.type for one in group} == {name}
            for one in group:
                seen.setdefault(_key(one), []).append(one.offset)
    assert sorted(offset for taken in seen.values() for offset in taken) == list(range(len(records)))
    assert all(taken == sorted(taken) for taken in seen.values())


def _key(record: ReceivedCommand[Any]) -> tuple[bool, bytes | None]:
    return record.what.type.startswith("segment"), record.key
