"""What is wrong with a topic, and how it is made."""

from __future__ import annotations

import pytest

from schemas.topics import Topic
from worker.kafka.clients import EVENT_BYTES_MAX, PRODUCE_BATCH_BYTES
from worker.kafka.topics import Found, _config, _problems
from worker.settings import Settings

LARGE = str(EVENT_BYTES_MAX + PRODUCE_BATCH_BYTES)


def problems(topic: Topic, partitions: int = 1, replicas: int = 3, **config: str) -> list[str]:
    named = {name.replace("_", "."): value for name, value in config.items()}
    return list(_problems(f"t.{topic.value}", topic, Found(partitions, replicas, named)))


def test_good_ones() -> None:
    assert problems(Topic.MEMBERSHIP_COMMANDS, 12, cleanup_policy="delete", max_message_bytes="1048588") == []
    assert problems(Topic.MEMBERSHIP_EVENTS, 12, max_message_bytes=LARGE, min_insync_replicas="3") == []
    assert problems(Topic.RELAY_POSITIONS, 1, cleanup_policy="compact", max_message_bytes="1048588") == []


@pytest.mark.parametrize("policy", ["delete", "compact,delete"])
def test_the_relays_position_must_not_be_deleted(policy: str) -> None:
    (problem,) = problems(Topic.RELAY_POSITIONS, cleanup_policy=policy)
    assert f"its cleanup.policy is {policy}, the relay's position would be lost" in problem
    assert "--entity-name t.relay-positions --add-config cleanup.policy=compact`" in problem


def test_the_relays_position_has_one_partition() -> None:
    (problem,) = problems(Topic.RELAY_POSITIONS, 3, cleanup_policy="compact")
    assert "it has 3 partitions and must have one" in problem
    assert "`segmentation reset relay --to database`" in problem


def test_states_are_compacted_soon() -> None:
    """A forgotten user's last state must not lie about, nor who begins read gigabytes of what is out of date."""
    config = _config(Topic.MEMBERSHIPS, Settings())
    assert config["cleanup.policy"] == "compact"
    assert int(config["max.compaction.lag.ms"]) <= 86_400_000
    (problem,) = problems(Topic.MEMBERSHIPS, 12, cleanup_policy="delete", max_message_bytes=LARGE)
    assert "records would be lost" in problem


@pytest.mark.parametrize("topic", [Topic.MEMBERSHIP_COMMANDS, Topic.SEGMENT_EVENTS])
def test_compaction_loses_records(topic: Topic) -> None:
    (problem,) = problems(topic, cleanup_policy="compact", max_message_bytes=LARGE)
    assert "records would be lost" in problem
    assert "cleanup.policy=delete`" in problem


@pytest.mark.parametrize("topic", [Topic.MEMBERSHIP_EVENTS, Topic.REJECTIONS, Topic.REPLIES])
def test_events_must_fit(topic: Topic) -> None:
    (problem,) = problems(topic, max_message_bytes=str(int(LARGE) - 1))
    assert f"must be {LARGE} or more" in problem
    assert problem.endswith(f"--add-config max.message.bytes={LARGE}`")


def test_nothing_could_be_written() -> None:
    (problem,) = problems(Topic.MEMBERSHIP_COMMANDS, 12, 1, min_insync_replicas="2")
    assert "min.insync.replicas is 2, but it has 1 replicas" in problem


def test_all_problems_are_told() -> None:
    assert (
        len(problems(Topic.REJECTIONS, 1, 1, cleanup_policy="compact", max_message_bytes="1", min_insync_replicas="2"))
        == 3
    )


@pytest.mark.parametrize("topic", Topic)
def test_what_is_created_has_no_problem(topic: Topic) -> None:
    assert list(_problems("t", topic, Found(1, 1, _config(topic, Settings())))) == []


def test_commands_of_the_largest_size_fit() -> None:
    config = _config(Topic.MEMBERSHIP_COMMANDS, Settings(record_bytes_max=9_000_000))
    assert int(config["max.message.bytes"]) > 9_000_000


def test_retention_is_the_settings_and_never_the_positions() -> None:
    settings = Settings(topic_retention="PT1H")
    assert _config(Topic.REJECTIONS, settings)["retention.ms"] == "3600000"
    assert "retention.ms" not in _config(Topic.RELAY_POSITIONS, settings)
