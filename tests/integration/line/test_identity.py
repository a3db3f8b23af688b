"""source + id names a command: what comes again does nothing and says nothing, another command is told so."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import orjson
import pytest

from schemas.commands import COMMANDS
from schemas.envelope import qualified
from schemas.producer import new_command
from schemas.topics import Topic
from tests.support.events import active, hold_envelope, rows
from tests.support.line import SOURCE, Line, line, working
from worker.settings import Settings


async def test_again_in_a_later_batch(outside: Line, name: str) -> None:
    await outside.ask("segment.create", {"segment": name})
    await outside.ask("user.register", {"user_id": name})
    command = await outside.send("membership.change", {"user_id": name, "add": [name]})
    await outside.outcome(command)
    await outside.ask("membership.change", {"user_id": name, "remove": [name]})
    await outside.send("membership.change", {"user_id": name, "add": [name]}, id=command)
    await _hold_one_outcome(outside, command)
    assert await active(outside.settings, name) == []


async def test_again_however_it_is_written(outside: Line, name: str) -> None:
    """A retry may be made anew: fields in another order, null for what is absent, another time and trace."""
    await outside.ask("segment.create", {"segment": name})
    await outside.ask("user.register", {"user_id": name})
    command = await outside.send("membership.change", {"user_id": name, "add": [name], "ttl": "P1D"})
    await outside.outcome(command)
    data = {"ttl": "PT24H", "expires_at": None, "add": [{"ttl": None, "segment": name}], "user_id": name}
    later = datetime.now(UTC) + timedelta(minutes=1)
    await outside.send("membership.change", data, id=command, time=later, correlationid="retry")
    await _hold_one_outcome(outside, command)


async def test_again_with_other_data(outside: Line, name: str) -> None:
    """Whoever takes a name for two commands hears of it, once for each of them; the first one stands."""
    command = await outside.send("user.register", {"user_id": name})
    await outside.outcome(command)
    for _ in range(2):
        await outside.send("user.register", {"user_id": f"{name}-2"}, id=command)
        await outside.send("segment.create", {"segment": name}, id=command)
        await outside.send("user.register", {"user_id": name}, id=command)
    said = [one for one in await outside.settled() if one.cause == command]
    assert [one.type for one in said] == ["membership.changed", "command.rejected", "command.rejected"]
    for one in said[1:]:
        hold_envelope(outside, one)
        assert one.data["code"] == "id_reused"
        assert [error["field"] for error in one.data["errors"]] == ["id"]
        assert command in one.data["message"]
    types = {one.data["command_type"] for one in said[1:]}
    assert types == {qualified("user.register"), qualified("segment.create")}


async def test_other_data_at_the_same_time(settings: Settings, topics: list[str]) -> None:
    """In one batch, the first one stands; however often each of them is repeated there."""
    async with line(settings) as outside:
        for user in ("u", "v", "u", "w", "v", "w"):
            await outside.send("user.register", {"user_id": user}, id="x", partition=0)
        async with working(settings):
            said = [one for one in await outside.settled() if one.cause == "x"]
    users = sorted(base64.b64decode(one.data["record"]).count(b'"v"') for one in said if "record" in one.data)
    assert [one.data["user_id"] for one in said if one.type == "membership.changed"] == ["u"]
    assert users == [0, 1]


async def test_a_name_of_a_version_that_kept_no_contents(outside: Line, name: str) -> None:
    """What it stands for is not known: as before, whatever comes under it is passed over."""
    command = await outside.send("user.register", {"user_id": name})
    await outside.outcome(command)
    await rows(outside.settings, "update inbox set content = null returning 1")
    await outside.send("user.register", {"user_id": f"{name}-2"}, id=command)
    await _hold_one_outcome(outside, command)


async def test_again_when_its_expiry_has_passed(outside: Line, name: str) -> None:
    """Without a time of its own its record's counts, and that of the same bytes sent again is a later one."""
    await outside.ask("segment.create", {"segment": name})
    await outside.ask("user.register", {"user_id": name})
    begin = datetime.now(UTC)
    data = {"user_id": name, "add": [name], "expires_at": (begin - timedelta(minutes=5)).isoformat()}
    value = orjson.dumps(
        {"specversion": "1.0", "id": name, "source": "/tests", "type": qualified("membership.change"), "data": data}
    )
    topic, key = outside.topic(Topic.MEMBERSHIP_COMMANDS), name.encode()
    for minutes in (10, 0, 0):
        timestamp_ms = int((begin - timedelta(minutes=minutes)).timestamp() * 1000)
        await outside.producer.send_and_wait(topic, value, key=key, timestamp_ms=timestamp_ms)
    assert (await outside.outcome(name)).type == "membership.changed"
    await _hold_one_outcome(outside, name)


async def test_an_expiry_that_has_passed_at_once(outside: Line, name: str) -> None:
    """It is refused, and that is its outcome: what is sent again under its name is a repetition, or another command."""
    data = {"user_id": name, "add": [name], "expires_at": "2025-01-01T00:00:00Z"}
    event = {"specversion": "1.0", "id": name, "source": "/tests", "type": qualified("membership.change")}
    for _ in range(2):
        await outside.send_raw(Topic.MEMBERSHIP_COMMANDS, orjson.dumps(event | {"data": data}), name.encode())
    one = await outside.outcome(name)
    assert (one.data["code"], [error["field"] for error in one.data["errors"]]) == ("invalid", ["data.expires_at"])
    await _hold_one_outcome(outside, name)
    mended = data | {"expires_at": None}
    await outside.send_raw(Topic.MEMBERSHIP_COMMANDS, orjson.dumps(event | {"data": mended}), name.encode())
    codes = [one.data["code"] for one in await outside.settled() if one.cause == name]
    assert codes == ["invalid", "id_reused"]


async def test_again_after_a_refusal(outside: Line, name: str) -> None:
    """The refusal was the outcome, though the command would be good by now."""
    command = await outside.send("segment.delete", {"segment": name})
    assert (await outside.outcome(command)).data["code"] == "segment_not_found"
    await outside.ask("segment.create", {"segment": name})
    await outside.send("segment.delete", {"segment": name}, id=command)
    await _hold_one_outcome(outside, command)


@pytest.mark.parametrize("partition", range(3))
async def test_again_in_each_partition(outside: Line, name: str, partition: int) -> None:
    """Other producers' partitioners choose other partitions; two lanes may hold the two at once."""
    command = await outside.send("user.register", {"user_id": name}, partition=0)
    await outside.send("user.register", {"user_id": name}, id=command, partition=partition)
    await _hold_one_outcome(outside, command)


async def test_another_source_is_another_command(outside: Line, name: str) -> None:
    spec = COMMANDS["user.register"]
    for source in (SOURCE, f"{SOURCE}/2", "/test"):
        made = new_command("user.register", {"user_id": name}, source=source, id=name)
        await outside.send_raw(spec.topic, made.value, made.key, made.headers)
    said = await outside.until(lambda said: len([one for one in said if one.cause == name]) == 3)
    assert len({one.event["id"] for one in said if one.cause == name}) == 3


async def test_where_source_ends_and_id_begins_matters(outside: Line, name: str) -> None:
    spec = COMMANDS["user.register"]
    for source, command in ((f"/{name}", "1x"), (f"/{name}1", "x")):
        made = new_command("user.register", {"user_id": name}, source=source, id=command)
        await outside.send_raw(spec.topic, made.value, made.key, made.headers)
    await outside.until(lambda said: len([one for one in said if one.data.get("user_id") == name]) == 2)


async def test_a_record_that_is_no_command_has_no_name(outside: Line, name: str) -> None:
    """Its id is told, but a producer that mends the command may send it under that id."""
    value = b'{"specversion":"1.0","id":"%b","source":"/tests","type":"segmentation.user.register.v1","data":{}}'
    await outside.send_raw(Topic.MEMBERSHIP_COMMANDS, value % name.encode(), name.encode())
    assert (await outside.outcome(name)).data["code"] == "invalid"
    await outside.send("user.register", {"user_id": name}, id=name)
    said = await outside.until(lambda said: len([one for one in said if one.cause == name]) == 2)
    assert [one.type for one in said if one.cause == name and one.data.get("user_id")] == ["membership.changed"]


async def test_again_in_the_same_batch(settings: Settings, topics: list[str]) -> None:
    """All of it waits when the worker starts: one batch, with the segment's commands and the members'."""
    async with line(settings) as outside:
        create = await outside.send("segment.create", {"segment": "a"})
        await outside.send("segment.create", {"segment": "a"}, id=create)
        register = await outside.send("user.register", {"user_id": "u"})
        change = {"user_id": "u", "add": ["a"]}
        first = await outside.send("membership.change", change)
        second = await outside.send("membership.change", {"user_id": "u", "remove": ["a"]})
        for partition in range(3):
            await outside.send("membership.change", change, id=first, partition=partition)
        async with working(settings):
            said = await outside.settled()
    assert sorted(str(one.cause) for one in said) == sorted([create, register, first, second])
    assert [one.type for one in said].count("command.rejected") == 0
    assert await active(settings, "u") == []


async def _hold_one_outcome(outside: Line, command: str) -> None:
    said = await outside.settled()
    assert len([one for one in said if one.cause == command]) == 1
