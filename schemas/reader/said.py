"""What a record says about a user's memberships."""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

from schemas.envelope import qualified
from schemas.reader.errors import UnreadableRecordError
from schemas.reader.names import UNKNOWN_ORIGIN, Names
from schemas.reader.packed import FOREVER, Item, micros, pack
from schemas.reader.records import Taken
from schemas.state import SEQUENCE_HEADER
from schemas.topics import Topic, topic_name

STATE_TOPIC = topic_name("", Topic.MEMBERSHIPS)
EVENTS_TOPIC = topic_name("", Topic.MEMBERSHIP_EVENTS)
"""What the names of the two topics end with."""
SEQUENCE_MAX = 2**63 - 1

_CHANGED = qualified("membership.changed")
_FORGOTTEN = "user_forgotten"
_MISSHAPEN = (KeyError, TypeError, ValueError, AttributeError, OverflowError)


class State(NamedTuple):
    """All segments of the user; `omitted` is true where the record does not have them all."""

    user_id: str
    sequence: int
    packed: bytes
    omitted: bool


class Forgotten(NamedTuple):
    """The user is not there any more; `sequence` is None where the record does not tell it."""

    user_id: str
    sequence: int | None


class Changed(NamedTuple):
    """What changed for the user: items that begin, items whose expiry is new, and the keys of those that ended."""

    user_id: str
    sequence: int
    entered: list[Item]
    renewed: list[Item]
    exited: list[int]
    omitted: bool


class Unconcerned(NamedTuple):
    """An event of another type, which a later version may write to the topic."""

    sequence: int | None


Said = State | Forgotten | Changed | Unconcerned


def said(record: Taken, names: Names) -> Said:
    """What the record says; raises UnreadableRecordError."""
    try:
        if record.partition[0].endswith(EVENTS_TOPIC):
            return _event(record, names)
        return _state(record, names)
    except _MISSHAPEN as error:
        raise UnreadableRecordError(*record.partition, record.offset, _reason(error)) from None


def _reason(error: Exception) -> str:
    match error:
        case KeyError():
            return f"the field {error} is missing"
        case ValueError():
            return str(error)
        case _:
            return f"a field is of another type ({error})"


def _state(record: Taken, names: Names) -> State | Forgotten:
    user_id = _user_id(record)
    if record.value is None:
        told = dict(record.headers).get(SEQUENCE_HEADER)
        return Forgotten(user_id, None if told is None else _number(int(told)))
    state = orjson.loads(record.value)
    _require_user(user_id, state["user_id"])
    key, origin_key = names.key, names.origin_key
    items = [
        (
            key(item["segment_id"], item["segment"]),
            origin_key(item["origin"]),
            micros(item["since"]),
            FOREVER if item["expires_at"] is None else micros(item["expires_at"]),
        )
        for item in state["segments"]
    ]
    return State(user_id, _number(state["sequence"]), pack(items), bool(state.get("omitted")))


def _event(record: Taken, names: Names) -> Changed | Forgotten | Unconcerned:
    if record.value is None:
        raise ValueError("it has no value")
    event = orjson.loads(record.value)
    if event["type"] != _CHANGED:
        return Unconcerned(None)
    sequence, data = _number(int(event["sequence"])), event["data"]
    user_id = _user_id(record)
    _require_user(user_id, data["user_id"])
    if data["reason"] == _FORGOTTEN:
        return Forgotten(user_id, sequence)
    since = micros(event["time"])
    return Changed(
        user_id,
        sequence,
        [_item(item, since, names) for item in data["entered"]],
        [_item(item, since, names) for item in data["renewed"]],
        [names.key(item["segment_id"], item["segment"]) for item in data["exited"]],
        bool(data.get("omitted")),
    )


def _item(item: dict[str, Any], since: int, names: Names) -> Item:
    expires = FOREVER if item["expires_at"] is None else micros(item["expires_at"])
    return Item(names.key(item["segment_id"], item["segment"]), UNKNOWN_ORIGIN, since, expires)


def _user_id(record: Taken) -> str:
    if not record.key:
        raise ValueError("it has no key")
    return record.key.decode()


def _require_user(key: str, user_id: object) -> None:
    if key != user_id:
        raise ValueError("its key is not the user's id")


def _number(sequence: object) -> int:
    if type(sequence) is not int or not 0 <= sequence <= SEQUENCE_MAX:
        raise ValueError("its sequence is no number")
    return sequence
