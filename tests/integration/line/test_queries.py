"""membership.query: the answer, where it goes, and that it holds up nothing else."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from uuid import uuid4

from schemas.topics import Topic
from tests.support.events import hold_envelope, instant, rows
from tests.support.line import WAIT_SECONDS_MAX, Line, Said, said_in
from worker.kafka import clients as kafka

MISSING = 200
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def test_the_answer(outside: Line, name: str) -> None:
    """Active memberships, oldest first; expired and ended ones are not among them."""
    made = {}
    for letter in "abcd":
        one = await outside.ask("segment.create", {"segment": f"{name}-{letter}"})
        made[letter] = {"segment": one.data["segment"], "segment_id": one.data["segment_id"]}
    await outside.ask("user.register", {"user_id": name})
    second = {"segment": f"{name}-a", "expires_at": "2999-12-31T22:00:00Z"}
    for add in (f"{name}-b", second, f"{name}-c"):
        await outside.ask("membership.change", {"user_id": name, "add": [add]})
    await outside.ask("membership.change", {"user_id": name, "remove": [f"{name}-c"]})
    over = {"user_id": name, "add": [f"{name}-d"], "ttl": "P1D"}
    await outside.ask("membership.change", over, time=datetime(2020, 1, 1, tzinfo=UTC))
    sql = "select segment, since from active_memberships where user_id = $1"
    since = {row["segment"]: row["since"] for row in await rows(outside.settings, sql, name)}

    one = await outside.ask("membership.query", {"user_id": name}, correlationid="cart-7", traceparent=TRACE)
    hold_envelope(outside, one)
    assert one.data["user_id"] == name
    got = [{**item, "since": instant(item["since"])} for item in one.data["segments"]]
    assert got == [
        made[letter] | {"origin": "command", "since": since[f"{name}-{letter}"], "expires_at": until}
        for letter, until in (("b", None), ("a", "2999-12-31T22:00:00Z"))
    ]
    assert (one.event["correlationid"], one.event["traceparent"]) == ("cart-7", TRACE)
    assert one.key == name.encode()
    assert "sequence" not in one.event


async def test_an_unknown_user_is_in_no_segment(outside: Line, name: str) -> None:
    assert (await outside.ask("membership.query", {"user_id": name})).data == {"user_id": name, "segments": []}


async def test_the_answer_knows_what_came_before(outside: Line, name: str) -> None:
    """Sent without waiting in between; it is answered after the batch that held it."""
    await outside.ask("segment.create", {"segment": name})
    await outside.send("user.register", {"user_id": name})
    await outside.send("membership.change", {"user_id": name, "add": [name]})
    one = await outside.ask("membership.query", {"user_id": name})
    assert [item["segment"] for item in one.data["segments"]] == [name]


async def test_a_query_asked_again_is_answered_again(outside: Line, name: str) -> None:
    """It is not deduplicated: who missed an answer asks again, and knows it by its id."""
    command = await outside.send("membership.query", {"user_id": name})
    await outside.send("membership.query", {"user_id": name}, id=command)
    said = await outside.until(lambda said: len(_answers(said, command)) == 2)
    first, second = _answers(said, command)
    assert first.event["id"] == second.event["id"]


async def test_the_answer_goes_where_the_query_says(outside: Line, name: str) -> None:
    """And a topic that is not there costs nobody else an answer."""
    topic = f"{outside.settings.topic_prefix}.elsewhere-{uuid4().hex[:8]}"
    async with kafka.admin(outside.settings) as client:
        await client.create_topics([kafka.NewTopic(topic, 1, 1)])
    await outside.send("membership.query", {"user_id": name}, replyto=f"{topic}-none")
    query = await outside.send("membership.query", {"user_id": name}, replyto=topic)
    (one,) = await said_in(outside.settings, topic, 1)
    hold = (one.type, one.cause, one.key, one.data)
    assert hold == ("membership.snapshot", query, name.encode(), {"user_id": name, "segments": []})
    await outside.ask("membership.query", {"user_id": name})
    assert _answers(outside.said, query) == []


async def test_no_answer_among_our_own_topics(outside: Line, name: str) -> None:
    """An answer among the commands or the positions would do harm."""
    for topic in Topic:
        one = await outside.ask("membership.query", {"user_id": name}, replyto=outside.topic(topic))
        if topic is Topic.REPLIES:
            assert one.type == "membership.snapshot"
            continue
        hold_envelope(outside, one)
        assert one.data["code"] == "invalid"
        assert outside.topic(topic) in one.data["message"]
        assert [error["field"] for error in one.data["errors"]] == ["replyto"]


async def test_no_answer_where_the_deployment_does_not_allow_it(outside: Line, name: str) -> None:
    one = await outside.ask("membership.query", {"user_id": name}, replyto="elsewhere")
    assert one.data["code"] == "invalid"
    assert "SEGMENTATION_REPLY_TOPICS" in one.data["message"]
    assert [error["field"] for error in one.data["errors"]] == ["replyto"]


async def test_bad_topics_hold_up_no_good_one(outside: Line, name: str) -> None:
    """Hundreds that are missing, and one that refuses: none is waited for, or created, or in what follows' way."""
    prefix = outside.settings.topic_prefix
    good, refusing = f"{prefix}.good-{uuid4().hex[:8]}", f"{prefix}.refusing-{uuid4().hex[:8]}"
    async with kafka.admin(outside.settings) as client:
        tiny = kafka.NewTopic(refusing, 1, 1, topic_configs={"max.message.bytes": "100"})
        await client.create_topics([kafka.NewTopic(good, 1, 1), tiny])
        for number in range(MISSING):
            await outside.send("membership.query", {"user_id": name}, replyto=f"{prefix}.missing-{number}")
        await outside.send("membership.query", {"user_id": name}, replyto=refusing)
        first = await outside.send("membership.query", {"user_id": name}, replyto=good)
        await outside.ask("membership.query", {"user_id": name})
        assert [one.cause for one in await said_in(outside.settings, good, 1)] == [first]
        second = await outside.send("membership.query", {"user_id": name}, replyto=good)
        assert [one.cause for one in await said_in(outside.settings, good, 2)] == [first, second]
        assert not [topic for topic in await client.list_topics() if "missing" in topic]


async def test_many_queries_at_once(outside: Line, name: str) -> None:
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        sent = await asyncio.gather(
            *(outside.send("membership.query", {"user_id": f"{name}-{number}"}) for number in range(300))
        )
    said = await outside.until(lambda said: set(sent) <= {one.cause for one in said})
    answered = {one.cause: one.data["user_id"] for one in said if one.cause in set(sent)}
    assert [answered[command] for command in sent] == [f"{name}-{number}" for number in range(300)]


def _answers(said: list[Said], command: str) -> list[Said]:
    return [one for one in said if one.cause == command]
