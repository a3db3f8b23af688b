"""Both modes of CloudEvents, what is handed on to the events, and the setting for unknown users."""

from __future__ import annotations

import json
from typing import Any

import pytest

from schemas.envelope import qualified
from schemas.topics import Topic
from tests.support.events import active, hold_envelope, rows
from tests.support.line import Line, Said, line, working
from worker.settings import Settings

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def test_an_events_whole_envelope(outside: Line, name: str) -> None:
    one = await outside.ask("user.register", {"user_id": name}, id=f"{name}-1", correlationid="c", traceparent=TRACE)
    varying = {field: one.event[field] for field in ("id", "time", "sequence", "data")}
    assert one.event == varying | {
        "specversion": "1.0",
        "source": "/segmentation",
        "type": "segmentation.membership.changed.v1",
        "subject": name,
        "datacontenttype": "application/json",
        "partitionkey": name,
        "causationid": f"{name}-1",
        "causationsource": "/tests",
        "correlationid": "c",
        "traceparent": TRACE,
    }


async def test_what_the_command_had_not_is_left_out(outside: Line, name: str) -> None:
    one = await outside.ask("user.register", {"user_id": name})
    assert not {"correlationid", "traceparent", "replyto"} & one.event.keys()


async def test_a_rejection_hands_on_the_same(outside: Line, name: str) -> None:
    """Of a command that met its state, and of one that was unreadable."""
    others = {"correlationid": "c", "traceparent": TRACE}
    refused = await outside.ask("user.forget", {"user_id": name}, id=f"{name}-1", **others)
    event = _event(f"{name}-2", {"user_id": name, "month": 2}, **others)
    await outside.send_raw(Topic.MEMBERSHIP_COMMANDS, json.dumps(event).encode(), name.encode())
    for one in (refused, await outside.outcome(f"{name}-2")):
        hold_envelope(outside, one)
        assert {field: one.event[field] for field in others} == others
        named = ("command_id", "command_source", "command_type")
        assert [one.data[field] for field in named] == [one.cause, "/tests", one.data["command_type"]]
        place = f"{one.data['topic']}/{one.data['partition']}/{one.data['offset']}"
        assert (one.key, one.event["subject"]) == (name.encode(), place)
    assert refused.data["command_type"] == qualified("user.forget")


async def test_sequences_grow_with_the_journal(outside: Line, name: str) -> None:
    """A user's events are in one partition, in their order; no number is missing in all topics together."""
    for _ in range(5):
        await outside.send("user.register", {"user_id": name})
    said = await outside.settled()
    mine = [one for one in said if one.data.get("user_id") == name]
    assert len(mine) == 5
    assert len({one.partition for one in mine}) == 1
    assert [int(one.event["sequence"]) for one in mine] == sorted(int(one.event["sequence"]) for one in mine)
    numbers = sorted(int(one.event["sequence"]) for one in outside.said if "sequence" in one.event)
    assert numbers == list(range(1, len(numbers) + 1))


async def test_structured_without_a_content_type(outside: Line, name: str) -> None:
    value = json.dumps(_event(name, {"user_id": name})).encode()
    await outside.send_raw(Topic.MEMBERSHIP_COMMANDS, value, name.encode())
    assert (await outside.outcome(name)).data["reason"] == "user_registered"


@pytest.mark.parametrize("content_type", [b"application/json", b"text/plain"])
async def test_structured_under_the_content_type_of_its_data(outside: Line, name: str, content_type: bytes) -> None:
    """As older SDKs and proxies write it; with null for all that is absent, as generated models do."""
    await outside.ask("segment.create", {"segment": name})
    await outside.ask("user.register", {"user_id": name})
    nothing = {"ttl": None, "expires_at": None}
    data = {"user_id": name, "add": [{"segment": name} | nothing], "remove": None} | nothing
    event = _event(f"{name}-1", data, time=None, correlationid=None, type=qualified("membership.change"))
    headers = [("content-type", content_type)]
    await outside.send_raw(Topic.MEMBERSHIP_COMMANDS, json.dumps(event).encode(), name.encode(), headers)
    one = await outside.outcome(f"{name}-1")
    assert [item["segment"] for item in one.data["entered"]] == [name]


async def test_binary_mode(outside: Line, name: str) -> None:
    """The attributes are headers, the value is the data alone."""
    event = _event(name, None, correlationid="c")
    headers = [(f"ce_{field}", str(text).encode()) for field, text in event.items() if text is not None]
    headers += [("content-type", b"application/json"), ("some-proxy", b"\xff")]
    value = json.dumps({"user_id": name}).encode()
    await outside.send_raw(Topic.MEMBERSHIP_COMMANDS, value, name.encode(), headers)
    one = await outside.outcome(name)
    hold_envelope(outside, one)
    assert (one.data["reason"], one.event["correlationid"]) == ("user_registered", "c")


async def test_other_extensions_are_ignored(outside: Line, name: str) -> None:
    event = _event(name, {"user_id": name}, sequence="1", partitionkey="x", subject="y", comexampleother=True)
    await outside.send_raw(Topic.MEMBERSHIP_COMMANDS, json.dumps(event).encode(), name.encode())
    one = await outside.outcome(name)
    assert (one.event["subject"], one.event["partitionkey"]) == (name, name)


async def test_unknown_users_may_be_registered_on_the_way(settings: Settings, topics: list[str]) -> None:
    """By a command that is applied, not by one that is refused."""
    anyone = settings.model_copy(update={"users": "any"})
    async with line(anyone) as outside, working(anyone):
        await outside.ask("segment.create", {"segment": "a"})
        refused = await outside.ask("membership.change", {"user_id": "u", "add": ["a", "b"]})
        assert refused.data["code"] == "segment_not_found"
        assert await rows(anyone, "select from users") == []
        one = await outside.ask("membership.change", {"user_id": "u", "add": ["a"]})
        assert [item["segment"] for item in one.data["entered"]] == ["a"]
        await outside.ask("membership.change", {"user_id": "v", "remove": ["a"]})
        said = await outside.settled()
        forgotten = await outside.ask("user.forget", {"user_id": "w"})
    users = await rows(anyone, "select user_id from users where user_id not like 'sentinel%' order by 1")
    assert [row["user_id"] for row in users] == ["u", "v"]
    assert await active(anyone, "u") == ["a"]
    assert forgotten.data["code"] == "user_not_found"
    assert _reasons(said) == ["command", "command"]


async def test_a_segment_and_its_first_members_together(settings: Settings, topics: list[str]) -> None:
    """Sent at once to one worker, members first: the segment's command is applied before theirs."""
    async with line(settings) as outside:
        for number in range(20):
            user = {"user_id": f"u{number}"}
            await outside.send("user.register", user)
            await outside.send("membership.change", user | {"add": ["a"]})
        await outside.send("segment.create", {"segment": "a"})
        async with working(settings):
            said = await outside.settled()
    entered = [item["segment"] for one in said for item in one.data.get("entered", [])]
    assert entered == ["a"] * 20


def _reasons(said: list[Said]) -> list[str]:
    return [one.data["reason"] for one in said if one.type == "membership.changed"]


def _event(command_id: str, data: Any, **others: Any) -> dict[str, Any]:
    attributes = {"specversion": "1.0", "id": command_id, "source": "/tests"}
    attributes["type"] = qualified("user.register")
    return attributes | others | ({} if data is None else {"data": data})
