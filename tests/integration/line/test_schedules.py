"""Commands that take effect later, from the command to its outcome, and those that are taken back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg

from schemas.commands import COMMANDS, CommandType
from schemas.producer import Place
from schemas.topics import Topic
from tests.support.line import SOURCE, Line, Said

FAR = timedelta(days=300)
NOW = """
update schedule
set effective_at = clock_timestamp()
    + (effective_at - (select min(effective_at) from schedule where command_id = any($1::text[])))
where command_id = any($1::text[])
"""


def moment(ahead: timedelta) -> datetime:
    return datetime.now(UTC) + ahead


async def put_off(outside: Line, command: CommandType, data: dict[str, Any], at: datetime, **others: Any) -> Said:
    """The event that a command gives when it is put off."""
    command_id = await outside.send(command, data, effectiveat=at, **others)
    said = await outside.until(lambda said: any(one.cause == command_id for one in said))
    return next(one for one in said if one.cause == command_id)


async def cancelled(outside: Line, scheduled: Said, **place: Any) -> Said:
    """What comes of taking it back."""
    key = scheduled.key or b""
    topic = next(
        t for t in COMMANDS["schedule.cancel"].topics if f"{t.value.partition('-')[0]}-events" in scheduled.topic
    )
    target = {"command_id": scheduled.data["command_id"], "command_source": scheduled.data["command_source"]}
    return await outside.ask("schedule.cancel", target, place=Place(place.get("topic", topic), place.get("key", key)))


async def bring_forward(outside: Line, *scheduled: Said) -> None:
    """Have them fall due now, with the time between them that there is: however slow this is, they were put off."""
    connection = await asyncpg.connect(outside.settings.database_url.get_secret_value())
    try:
        done = await connection.execute(NOW, [one.data["command_id"] for one in scheduled])
        assert done == f"UPDATE {len(scheduled)}"
    finally:
        await connection.close()


async def outcome(outside: Line, scheduled: Said) -> Said:
    """What comes of it in the end: the second event that it causes."""
    command_id = scheduled.data["command_id"]
    said = await outside.until(lambda said: sum(one.cause == command_id for one in said) > 1)
    (_, found) = [one for one in said if one.cause == command_id]
    return found


async def test_a_segment_begins_and_ends_by_itself(outside: Line, name: str) -> None:
    at = moment(FAR)
    scheduled = await put_off(outside, "segment.create", {"segment": name, "owner": "web", "percent": 12.5}, at)
    assert (scheduled.type, scheduled.key, scheduled.event["subject"]) == ("command.scheduled", name.encode(), name)
    assert scheduled.topic == outside.topic(Topic.SEGMENT_EVENTS)
    assert scheduled.data == {
        "command_id": scheduled.cause,
        "command_source": SOURCE,
        "command_type": "segmentation.segment.create.v1",
        "effective_at": at.isoformat().replace("+00:00", "Z"),
        "segment": name,
    }
    ending = await put_off(outside, "segment.delete", {"segment": name}, at + timedelta(milliseconds=10))
    await bring_forward(outside, scheduled, ending)
    begun = await outcome(outside, scheduled)
    assert (begun.type, begun.data["owner"], begun.data["percent"]) == ("segment.created", "web", 12.5)
    assert (await outcome(outside, ending)).type == "segment.deleted"


async def test_a_membership_begins_later_and_its_ttl_counts_from_then(outside: Line, name: str) -> None:
    await outside.ask("segment.create", {"segment": name})
    await outside.ask("user.register", {"user_id": name})
    at = moment(FAR)
    data = {"user_id": name, "add": [name], "ttl": "P1M"}
    scheduled = await put_off(outside, "membership.change", data, at, correlationid="c")
    assert (scheduled.topic, scheduled.key) == (outside.topic(Topic.MEMBERSHIP_EVENTS), name.encode())
    assert (scheduled.data["user_id"], scheduled.event["correlationid"]) == (name, "c")
    assert (await outside.ask("membership.query", {"user_id": name})).data["segments"] == []
    await bring_forward(outside, scheduled)
    changed = await outcome(outside, scheduled)
    assert (changed.data["reason"], changed.event["correlationid"]) == ("command", "c")
    (entered,) = changed.data["entered"]
    month = at.replace(year=at.year + at.month // 12, month=at.month % 12 + 1, day=min(at.day, 28))
    assert abs(datetime.fromisoformat(entered["expires_at"]) - month) < timedelta(days=4)
    assert datetime.fromisoformat(entered["expires_at"]).time() == at.time()


async def test_not_later_than_now_is_an_ordinary_command(outside: Line, name: str) -> None:
    said = await outside.ask("segment.create", {"segment": name}, effectiveat=moment(-FAR))
    assert said.type == "segment.created"


async def test_what_is_due_meets_the_state_of_then(outside: Line, name: str) -> None:
    """Deleting a segment cancels nothing, and nobody is asked to be there before."""
    await outside.ask("segment.create", {"segment": name})
    at = moment(FAR)
    update = await put_off(outside, "segment.update", {"segment": name, "percent": 5}, at)
    change = await put_off(outside, "membership.change", {"user_id": name, "add": [name]}, at)
    forget = await put_off(outside, "user.forget", {"user_id": f"{name}-nobody"}, at)
    commit = await put_off(outside, "import.commit", {"import": name}, at)
    assert (commit.topic, commit.key) == (outside.topic(Topic.IMPORT_EVENTS), name.encode())
    await outside.ask("segment.delete", {"segment": name})
    await bring_forward(outside, update, change, forget, commit)
    outcomes = [await outcome(outside, one) for one in (update, change, forget, commit)]
    assert [one.type for one in outcomes] == ["command.rejected"] * 4
    assert [one.data["code"] for one in outcomes] == [
        "segment_not_found",
        "user_not_found",
        "user_not_found",
        "import_not_found",
    ]
    assert outcomes[1].key == name.encode()
    assert (outcomes[1].data["command_id"], outcomes[1].data["topic"]) == (
        change.cause,
        outside.topic(Topic.MEMBERSHIP_COMMANDS),
    )
    assert outcomes[1].data["record_bytes"] > 100
    assert outcomes[1].data["record"]


async def test_who_is_forgotten_has_nothing_left_to_come(outside: Line, name: str) -> None:
    """What was scheduled for the user is rejected at once, known or not, there again or not."""
    await outside.ask("segment.create", {"segment": name})
    at, change = moment(FAR), {"user_id": name, "add": [name]}
    before = [
        await put_off(outside, "membership.change", change, at),
        await put_off(outside, "user.forget", {"user_id": name}, at),
    ]
    unknown = await outside.ask("user.forget", {"user_id": name})
    assert unknown.data["code"] == "user_not_found"
    await outside.ask("user.register", {"user_id": name})
    outcomes = [await outcome(outside, one) for one in before]
    assert [(one.type, one.data["code"], one.key) for one in outcomes] == [
        ("command.rejected", "user_not_found", name.encode())
    ] * 2
    for one in outcomes:
        assert one.data["message"].startswith(f"User '{name}' was forgotten before the command took effect")
        assert [error["field"] for error in one.data["errors"]] == ["data.user_id"]
    after = await put_off(outside, "membership.change", change, at)
    connection = await asyncpg.connect(outside.settings.database_url.get_secret_value())
    left = await connection.fetch("select command_id from schedule where user_id = $1", name)
    assert [row["command_id"] for row in left] == [after.cause]
    assert await connection.fetchval("select count(*) from schedule_forgotten") == 0
    await connection.close()
    await bring_forward(outside, after)
    assert (await outcome(outside, after)).type == "membership.changed"


async def test_a_list_is_closed_later(outside: Line, name: str) -> None:
    await outside.ask("segment.create", {"segment": name})
    await outside.ask("user.register", {"user_id": name})
    await outside.ask("import.begin", {"import": name, "segment": name, "mode": "add"})
    await outside.ask("import.users", {"import": name, "user_ids": [name]})
    commit = await put_off(outside, "import.commit", {"import": name, "users": 1}, moment(FAR))
    await bring_forward(outside, commit)
    done = await outside.until(
        lambda said: any(one.type == "import.completed" and one.cause == commit.cause for one in said)
    )
    assert (
        next(one for one in done if one.type == "import.completed" and one.cause == commit.cause).data["entered"] == 1
    )


async def test_a_command_is_taken_back_and_only_once(outside: Line, name: str) -> None:
    await outside.ask("segment.create", {"segment": name})
    at = moment(FAR)
    scheduled = await put_off(outside, "segment.delete", {"segment": name}, at)
    done = await cancelled(outside, scheduled)
    assert (done.type, done.topic, done.key) == ("command.unscheduled", scheduled.topic, scheduled.key)
    assert done.data == scheduled.data
    again = await cancelled(outside, scheduled)
    assert (again.data["code"], again.key) == ("not_scheduled", name.encode())
    assert "It has taken effect, was cancelled, or was never scheduled." in again.data["message"]
    await outside.send("segment.delete", {"segment": name}, id=scheduled.cause, effectiveat=at)
    said = [one.type for one in await outside.settled() if one.cause == scheduled.cause]
    assert said == ["command.scheduled"], "its name is still taken"


async def test_it_is_taken_back_only_where_it_was_sent(outside: Line, name: str) -> None:
    scheduled = await put_off(outside, "user.forget", {"user_id": name}, moment(FAR))
    for place in ({"key": b"other"}, {"topic": Topic.SEGMENT_COMMANDS}, {"topic": Topic.IMPORT_COMMANDS}):
        said = await cancelled(outside, scheduled, **place)
        assert said.data["code"] == "not_scheduled"
        assert (
            f"It waits on the topic {outside.topic(Topic.MEMBERSHIP_COMMANDS)}, under the key {name!r}"
            in said.data["message"]
        )
    assert (await cancelled(outside, scheduled)).type == "command.unscheduled"


async def test_the_name_of_a_command_is_taken_when_it_is_put_off(outside: Line, name: str) -> None:
    await outside.ask("segment.create", {"segment": name})
    at, command_id = moment(FAR), str(uuid4())
    scheduled = await put_off(outside, "segment.delete", {"segment": name}, at, id=command_id)
    await outside.send("segment.delete", {"segment": name}, id=command_id, effectiveat=at)
    said = [one.type for one in await outside.settled() if one.cause == command_id]
    assert said == ["command.scheduled"], "a retry is passed over"
    await outside.send("segment.delete", {"segment": name}, id=command_id)
    said_again = await outside.until(lambda said: sum(one.cause == command_id for one in said) > 1)
    assert [one.data.get("code") for one in said_again if one.cause == command_id] == [None, "id_reused"]
    await cancelled(outside, scheduled)
