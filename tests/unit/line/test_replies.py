"""Queries wait for their answers, but not without end."""

from __future__ import annotations

import asyncio
import json
import math
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from prometheus_client import REGISTRY

from tests.unit.line.received import received
from worker.errors import Unavailable
from worker.kafka import clients as kafka
from worker.kafka import facts
from worker.line import outlet as outlets
from worker.line import replies
from worker.line.outlet import Outlet, ReplyTopics, Room
from worker.line.replies import Asking, Replies, Way
from worker.observability.progress import Progress
from worker.postgres.session import Database
from worker.settings import Settings

QUERY = received("membership.query", {"user_id": "u"})


def made() -> Replies:
    settings = Settings(kafka_bootstrap_servers="localhost:1")
    watch = Progress(60).watch("replies")
    return Replies(settings, Database(settings).session("test"), clock=lambda: datetime.now(UTC), watch=watch)


def lost() -> float:
    return REGISTRY.get_sample_value("segmentation_replies_total", {"outcome": "lost"}) or 0


async def test_too_many_are_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replies, "QUERIES_WAITING_MAX", 3)
    waiting, before = made(), lost()
    waiting.ask([QUERY] * 5)
    assert waiting._ours._queue.qsize() == 3
    assert lost() == before + 2


async def test_what_cannot_be_answered_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """And does not end the worker."""
    monkeypatch.setattr(replies, "RETRY_SECONDS", 0)

    async def away(_: Way) -> None:
        raise Unavailable("away")

    monkeypatch.setattr(Way, "_live_outlet", away)
    before = lost()
    await made()._ours._answer([("t", QUERY.what, math.inf)] * 2)
    assert lost() == before + 2


async def test_who_has_waited_too_long_is_not_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    async def outlet(_: Way) -> Outlet:
        return Outlet(None)

    async def unusable(*_: object) -> dict[str, str]:
        return {}

    monkeypatch.setattr(Way, "_live_outlet", outlet)
    monkeypatch.setattr(ReplyTopics, "unusable", unusable)
    before = lost()
    await made()._ours._answer([("t", QUERY.what, 0.0)])
    assert lost() == before + 1


def test_topics_of_their_own_go_another_way() -> None:
    waiting = made()
    other = received("membership.query", {"user_id": "u"}, replyto="segmentation.mine")
    waiting.ask([QUERY, other, QUERY])
    assert (waiting._ours._queue.qsize(), waiting._others._queue.qsize()) == (2, 1)


async def test_room_is_bounded_and_a_larger_one_goes_alone() -> None:
    room = Room(10)
    await room.take(6)
    second = asyncio.create_task(room.take(5))
    third = asyncio.create_task(room.take(100))
    await asyncio.sleep(0)
    assert not second.done()
    room.give(6)
    await second
    assert not third.done()
    room.give(5)
    await third


async def test_a_topic_that_is_missing_is_not_asked_about_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now, asked = 100.0, []

    async def unwritable(_: object, __: Settings, names: list[str]) -> dict[str, str]:
        asked.append(names)
        return {"bad": "there is no such topic"}

    monkeypatch.setattr(facts, "unwritable", unwritable)
    topics = ReplyTopics(lambda: now)
    for _ in range(2):
        assert await topics.unusable(None, Settings(), ["good", "bad"]) == {"bad": "there is no such topic"}
    assert asked == [["bad", "good"]]
    now += outlets.MISSING_SECONDS
    await topics.unusable(None, Settings(), ["good", "bad"])
    assert asked[1:] == [["bad"]]
    topics.failed("good", "no answer")
    assert "good" in await topics.unusable(None, Settings(), ["good"])


class Rows:
    """A session that answers with so many memberships of each user, as many as are asked for."""

    def __init__(self, counts: dict[str, int]) -> None:
        self._counts = counts

    async def row(self, _: str, at: datetime) -> dict[str, datetime]:
        return {"now": at}

    async def fetch(self, _: str, users: list[str], __: datetime, count: int) -> list[dict[str, object]]:
        rows = [
            {"user_id": user, "segment": f"s{n}", "segment_id": n} for user in users for n in range(self._counts[user])
        ]
        return rows[:count]


async def test_what_is_read_at_once_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Users whose memberships do not fit any more are left for the next time; who alone has more gets a part."""
    monkeypatch.setattr(replies, "SEGMENTS_MAX", 5)
    counts = {"a": 2, "b": 3, "c": 0, "d": 6, "e": 1}
    asking = Asking(Settings(), Rows(counts), lambda: datetime.now(UTC))  # type: ignore[arg-type] # in its place
    users = list(counts)
    told: dict[str, Any] = {}
    rounds = []
    while users:
        found = await asking.snapshots(users)
        told |= {user: json.loads(orjson.dumps(data)) for user, data in found.of.items()}
        rounds.append(list(found.of))
        users = users[len(found.of) :]
    assert rounds == [["a", "b", "c"], ["d"], ["e"]]
    assert {user: len(data["segments"]) for user, data in told.items()} == {"a": 2, "b": 3, "c": 0, "d": 5, "e": 1}
    assert [user for user, data in told.items() if data.get("more")] == ["d"]


class Producer:
    """Refuses the topic `bad`, and answers all else unless it was closed."""

    def __init__(self) -> None:
        self.is_closed = False
        self.sent: list[str] = []

    async def start(self) -> None:
        """It is there at once."""

    async def send(self, topic: str, *_: object, **__: object) -> asyncio.Future[None]:
        delivery = asyncio.get_running_loop().create_future()
        self.sent.append(topic)
        if self.is_closed:
            raise kafka.KafkaConnectionError("closed")
        if topic == "bad":
            delivery.set_exception(kafka.KafkaError("too large"))
        else:
            delivery.set_result(None)
        return delivery


@pytest.mark.parametrize("turns", range(6))
async def test_a_producer_is_replaced_under_nobodys_hands(monkeypatch: pytest.MonkeyPatch, turns: int) -> None:
    """Whenever an answer to another topic fails, a good one does not meet the producer that is given up for it."""
    made_producers: list[Producer] = []

    def new(_: Settings) -> Producer:
        made_producers.append(Producer())
        return made_producers[-1]

    async def close(producer: Producer) -> None:
        producer.is_closed = True

    async def unwritable(producer: Producer, *_: object) -> dict[str, str]:
        for _turn in range(turns):
            await asyncio.sleep(0)
            if producer.is_closed:
                raise Unavailable("closed")
        return {}

    async def snapshots(_: Asking, users: list[str]) -> replies.Snapshots:
        return replies.Snapshots(datetime.now(UTC), {user: orjson.Fragment(b"{}") for user in users})

    monkeypatch.setattr(kafka, "producer", new)
    monkeypatch.setattr(kafka, "cut_off", close)
    monkeypatch.setattr(facts, "unwritable", unwritable)
    monkeypatch.setattr(Asking, "snapshots", snapshots)
    way = made()._others
    await way._answer([("bad", QUERY.what, math.inf), ("good", QUERY.what, math.inf)])
    await way._answer([("other", QUERY.what, math.inf)])
    await way.settled()
    sent = [topic for producer in made_producers for topic in producer.sent]
    assert sorted(sent) == ["bad", "good", "other"]
    assert way._topics._known["good"][0] is way._topics._known["other"][0] is None


async def test_nothing_to_wait_for() -> None:
    await made().settled()
