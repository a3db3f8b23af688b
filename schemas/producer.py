"""For those who send commands: a command's record, checked by the worker's own rules before it leaves."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import uuid4

from schemas.commands import COMMANDS, CommandType
from schemas.decode import Command, Refusal, decode, untimely
from schemas.envelope import SPECVERSION, STRUCTURED_HEADERS, qualified
from schemas.times import rfc3339
from schemas.topics import Topic

RECORD_BYTES_MAX = 262_144


class Outgoing(NamedTuple):
    """A record to send to the topic `COMMANDS[type].topic`, or to that of the place where it was made for."""

    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


class Place(NamedTuple):
    """Where a command was sent: the topic and the record key."""

    topic: Topic
    key: bytes


class InvalidCommandError(ValueError):
    """The worker would refuse the command; `refusal` says why, field by field."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


def _number(value: object) -> int | float:
    if isinstance(value, Decimal) and value.is_finite() and Decimal(str(float(value))) == value:
        return float(value)
    raise TypeError(f"a {type(value).__name__} cannot be written as JSON")


def _key(topic: Topic, data: object) -> bytes:
    if not isinstance(data, Mapping):
        return b""
    match topic:
        case Topic.SEGMENT_COMMANDS:
            key = data.get("segment")
        case Topic.MEMBERSHIP_COMMANDS:
            key = data.get("user_id")
        case Topic.IMPORT_COMMANDS:
            key = data.get("import")
        case _:
            key = f"{str(data.get('year')).zfill(4)}-{str(data.get('month')).zfill(2)}"
    return str(key).encode(errors="replace")


def new_command(
    type: CommandType,  # noqa: A002 - CloudEvents' own names
    data: object,
    *,
    source: str,
    id: str | None = None,  # noqa: A002
    time: datetime | None = None,
    effectiveat: datetime | None = None,
    correlationid: str | None = None,
    replyto: str | None = None,
    traceparent: str | None = None,
    place: Place | None = None,
    record_bytes_max: int = RECORD_BYTES_MAX,
) -> Outgoing:
    """A command's record; `data` is an object as the contract has it.

    `id` is a random UUID unless it is given. `time` and `effectiveat` are aware, and stand in the record only if they
    are given. `place` is for `schedule.cancel` alone: that of the command that it cancels.
    Raises InvalidCommandError if the worker would refuse it, TypeError if `data` holds what JSON cannot.
    """
    made, _ = judged_command(
        type,
        data,
        source=source,
        id=id,
        time=time,
        effectiveat=effectiveat,
        correlationid=correlationid,
        replyto=replyto,
        traceparent=traceparent,
        place=place,
        record_bytes_max=record_bytes_max,
    )
    return made


def judged_command(
    type: CommandType,  # noqa: A002
    data: object,
    *,
    source: str,
    id: str | None = None,  # noqa: A002
    time: datetime | None = None,
    effectiveat: datetime | None = None,
    correlationid: str | None = None,
    replyto: str | None = None,
    traceparent: str | None = None,
    place: Place | None = None,
    record_bytes_max: int = RECORD_BYTES_MAX,
) -> tuple[Outgoing, Command]:
    """As `new_command`, with what the worker takes it for."""
    if place is None and type == "schedule.cancel":
        raise TypeError("schedule.cancel goes where the command was sent that it cancels: hand that place over")
    topic, key = place or (COMMANDS[type].topic, _key(COMMANDS[type].topic, data))
    attributes = {
        "specversion": SPECVERSION,
        "id": str(uuid4()) if id is None else id,
        "source": source,
        "type": qualified(type),
        "time": time and rfc3339(time),
        "effectiveat": effectiveat and rfc3339(effectiveat),
        "datacontenttype": "application/json",
        "correlationid": correlationid,
        "replyto": replyto,
        "traceparent": traceparent,
    }
    event = {name: value for name, value in attributes.items() if value is not None} | {"data": data}
    value = json.dumps(event, separators=(",", ":"), default=_number).encode()
    now_ms = int(datetime.now(UTC).timestamp() * 1000)
    judged = decode(value, STRUCTURED_HEADERS, key, topic, now_ms, record_bytes_max)
    if isinstance(judged, Refusal):
        raise InvalidCommandError(judged)
    if judged.untimely:
        raise InvalidCommandError(untimely(judged))
    return Outgoing(key, value, STRUCTURED_HEADERS), judged
