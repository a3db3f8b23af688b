"""The literal tables are complete and agree with the contract."""

from typing import get_args

import pytest

from schemas.commands import COMMANDS, CommandSpec, CommandType, Record, names_on
from schemas.envelope import qualified
from schemas.events import EVENTS, EventSpec, EventType
from schemas.rejections import MEANINGS, RefusalCode, RejectionCode
from schemas.topics import TOPICS, Topic, may_be_replied_to, topic_name


def test_every_command_has_a_row() -> None:
    assert set(COMMANDS) == set(get_args(CommandType))
    assert {spec.record for spec in COMMANDS.values()} == set(get_args(Record))


def test_every_event_has_a_row() -> None:
    assert set(EVENTS) == set(get_args(EventType))


@pytest.mark.parametrize(("name", "spec"), [*COMMANDS.items(), *EVENTS.items()])
def test_a_row_names_its_own_models(name: str, spec: CommandSpec | EventSpec) -> None:
    fields = spec.record.model_fields
    assert get_args(fields["type"].annotation) == (qualified(name),)
    assert fields["data"].annotation is spec.data
    assert spec.data.__doc__


def test_every_topic_has_a_row() -> None:
    assert set(TOPICS) == set(Topic)
    assert len(Topic) == 12
    compacted = [topic for topic, spec in TOPICS.items() if spec.cleanup_policy == "compact"]
    assert compacted == [Topic.MEMBERSHIPS, Topic.RELAY_POSITIONS]


def test_commands_come_in_and_events_go_out() -> None:
    assert {topic for spec in COMMANDS.values() for topic in spec.topics} == {
        t for t, spec in TOPICS.items() if spec.direction == "in"
    }
    assert {topic for spec in EVENTS.values() for topic in spec.topics} == {
        t for t, spec in TOPICS.items() if spec.direction == "out"
    }
    assert sum(len(names_on(topic)) for topic in Topic) == sum(len(spec.topics) for spec in COMMANDS.values())


def test_every_code_has_a_meaning() -> None:
    assert set(MEANINGS) == set(RejectionCode)
    assert set(get_args(RefusalCode)) < {code.value for code in RejectionCode}


def test_topic_names() -> None:
    assert topic_name("segmentation", Topic.SEGMENT_COMMANDS) == "segmentation.segment-commands"


@pytest.mark.parametrize(
    ("name", "patterns", "may"),
    [
        ("p.replies", ["p.*"], True),
        ("p.replies", ["mine"], True),
        ("p.relay-positions", ["*"], False),
        ("p.mine", ["p.*"], True),
        ("p2.mine", ["p.*"], False),
        ("mine", ["p.*", "m*e"], True),
        ("mine.too", ["p.*", "mine"], False),
    ],
)
def test_where_answers_may_go(name: str, patterns: list[str], may: bool) -> None:
    """Where a pattern allows, and never to our own topics but the replies."""
    assert may_be_replied_to("p", patterns, name) is may
