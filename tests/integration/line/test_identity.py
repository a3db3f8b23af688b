"""source + id names a command: whatever comes again under a name does nothing and says nothing."""

from __future__ import annotations

import pytest

from schemas.commands import COMMANDS
from schemas.producer import new_command
from schemas.topics import Topic
from tests.support.events import active
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


async def test_again_with_other_data(outside: Line, name: str) -> None:
    """The name decides, not what it stands for."""
    command = await outside.send("user.register", {"user_id": name})
    await outside.outcome(command)
    await outside.send("user.register", {"user_id": f"{name}-2"}, id=command)
    await outside.send("segment.create", {"segment": name}, id=command)
    await _hold_one_outcome(outside, command)


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
