"""The topic of users' states beside their events: each as the events say, never older than they are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from schemas.topics import Topic
from tests.support.events import execute
from tests.support.line import Said, line, working
from tests.support.states import Told, latest, told
from tests.support.topics import gone
from worker.errors import ConfigurationError
from worker.kafka import clients as kafka
from worker.kafka import topics as kafka_topics
from worker.settings import Settings


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """With the topic."""
    return settings.model_copy(update={"state_topic": "on"})


async def test_a_users_story(settings: Settings, topics: list[str]) -> None:
    """Each event's user has a state that is not older, in the partition of that number; the last is the present."""
    later = datetime.now(UTC).replace(microsecond=0) + timedelta(days=2)
    async with line(settings) as outside, working(settings):
        for segment in ("beta", "gone", "all"):
            percent = {"percent": 100} if segment == "all" else {}
            await outside.ask("segment.create", {"segment": segment} | percent)
        await outside.ask("user.register", {"user_id": "ada"})
        await outside.ask("membership.change", {"user_id": "ada", "add": ["gone"]})
        await outside.ask("membership.change", {"user_id": "ada", "add": ["beta"], "expires_at": later.isoformat()})
        for user in ("bob", "eve"):
            await outside.ask("user.register", {"user_id": user})
        await outside.ask("membership.change", {"user_id": "bob", "add": ["beta"], "remove": ["all"]})
        await outside.ask("segment.delete", {"segment": "gone"})
        await outside.until(lambda said: any(one.data.get("cause") == "segment_deleted" for one in said))
        for user in ("eve", "bob"):
            await outside.ask("user.forget", {"user_id": user})
        await outside.ask("user.register", {"user_id": "bob"})
        events = [one for one in await outside.settled() if one.type == "membership.changed"]
    records = await told(settings)
    _are_never_older(events, records)
    (beta, everyone) = sorted((latest(records)["ada"].state or {})["segments"], key=lambda item: item["origin"])
    assert (beta["segment"], beta["origin"], everyone["segment"]) == ("beta", "command", "all")
    assert datetime.fromisoformat(beta["expires_at"]) == later
    assert (everyone["origin"], everyone["expires_at"]) == ("rollout", None)
    assert latest(records)["eve"].state is None
    assert None in [record.state for record in records if record.user == "bob"]
    assert latest(records)["bob"].names == ["all"], "who comes again begins anew"
    assert {record.headers["ce_type"] for record in records} == {b"segmentation.membership.state.v1"}
    ids = {record.headers["ce_id"] for record in records}
    assert len(ids) == len({(record.user, record.sequence) for record in records})


def _are_never_older(events: list[Said], records: list[Told]) -> None:
    for event in events:
        user, sequence = event.data["user_id"], int(event.event["sequence"])
        beside = [record for record in records if record.user == user and record.sequence >= sequence]
        assert beside, event
        assert beside[0].partition == event.partition
    order = [(record.user, record.sequence) for record in records]
    for user in {record.user for record in records}:
        mine = [sequence for one, sequence in order if one == user]
        assert mine == sorted(mine)


async def test_what_is_over_stands_until_its_event(settings: Settings, topics: list[str]) -> None:
    """A state follows from the journal alone: a reader's clock says what is over; the event that comes fits to it."""
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    async with line(settings) as outside, working(settings):
        await outside.ask("segment.create", {"segment": "beta"})
        await outside.ask("user.register", {"user_id": "ada"})
        await outside.ask("membership.change", {"user_id": "ada", "add": ["beta"], "expires_at": later})
        await execute(settings, "update memberships set expires_at = now()")
        await outside.until(lambda said: any(one.data.get("reason") == "expiry" for one in said))
    records = await told(settings)
    assert [record.names for record in records] == [[], ["beta"], []]


async def test_a_topic_of_another_size(settings: Settings, topics: list[str]) -> None:
    """It is made with as many partitions as the events have; another number is told."""
    more = settings.model_copy(update={"topic_partitions": 7})
    name, events = (f"{settings.topic_prefix}.{one.value}" for one in (Topic.MEMBERSHIPS, Topic.MEMBERSHIP_EVENTS))
    await gone(settings, name)
    assert await kafka_topics.ensure(more) == [name]
    counts = await kafka_topics.partitions(settings)
    assert counts[name] == counts[events] == 3
    await gone(settings, name)
    async with kafka.admin(settings) as client:
        await client.create_topics([kafka.NewTopic(name, 2, 1, topic_configs={"cleanup.policy": "compact"})])
    with pytest.raises(ConfigurationError, match=f"{name}: it has 2 partitions and {events} has 3"):
        await kafka_topics.check(settings)


async def test_it_is_not_there_unless_it_is_wanted(settings: Settings, topics: list[str]) -> None:
    name = f"{settings.topic_prefix}.{Topic.MEMBERSHIPS.value}"
    assert name in topics
    await gone(settings, name)
    with pytest.raises(ConfigurationError, match=f"lacks the topics {name}"):
        await kafka_topics.check(settings)
    off = settings.model_copy(update={"state_topic": "off"})
    await kafka_topics.check(off)
    assert await kafka_topics.ensure(off) == []
