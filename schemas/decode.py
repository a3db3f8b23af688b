"""From a Kafka record to a command or a refusal. Nothing else comes out, whatever the record holds.

There are two ways with one outcome: the short one takes the good structured membership record in one validation of its
bytes; the long one judges every other record step by step, and finds what to say about it.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from schemas import binding, sentences
from schemas.commands import (
    COMMANDS,
    Change,
    CommandType,
    MembershipChange,
    MembershipChangeCommand,
    MembershipQueryCommand,
    Payload,
    Record,
    UserForgetCommand,
    UserRegisterCommand,
    names_on,
)
from schemas.content import content_of, content_of_names
from schemas.cut import size_of
from schemas.envelope import REQUIRED_ATTRIBUTES, STRUCTURED_HEADERS, Envelope, qualified
from schemas.imports import ImportBegin, Opening
from schemas.judged import Command, DataT_co, Refusal, refusal, refused, untimely
from schemas.rejections import FieldError, RejectionCode
from schemas.resolve import Problems, key_error, resolve, resolve_opening
from schemas.schedules import too_far
from schemas.topics import Topic
from schemas.values import (
    RECORD_KEY_BYTES_MAX,
    SEGMENTS_PER_COMMAND_MAX,
    shown,
)

__all__ = ["Command", "DataT_co", "Refusal", "decode", "refused", "untimely"]

_NAMES: dict[str, CommandType] = {qualified(name): name for name in COMMANDS}
_MEMBERSHIP_COMMANDS = Topic.MEMBERSHIP_COMMANDS
_membership: TypeAdapter[Record] = TypeAdapter(
    Annotated[
        MembershipChangeCommand | UserRegisterCommand | UserForgetCommand | MembershipQueryCommand,
        Field(discriminator="type"),
    ]
)
_membership_record = _membership.validator.validate_json
_N, _I, _BACKSLASH = b"NI\\"  # one byte is found ten times faster than a word
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NONE = Problems()
UNJUDGED = "The record could not be judged, by a mistake in the worker; nothing of it was applied"
UNREAD = "The value was not read, as its compressed batch becomes too large, so its bytes are not known"
_NO_TIME = FieldError("time", "must be given, as the record's own timestamp is no date")


def decode(
    value: bytes | None,
    headers: Sequence[tuple[str, bytes]],
    key: bytes | None,
    topic: Topic,
    timestamp_ms: int,
    record_bytes_max: int,
) -> Command | Refusal:
    """The command in a record of one of the command topics, or why there is none. Raises nothing but MemoryError.

    `timestamp_ms` is the record's own, in milliseconds since 1970; `record_bytes_max` bounds the value's size,
    RECORD_KEY_BYTES_MAX the key's. Judged in this order: `too_large`, `malformed`, `unknown_type`, `invalid`; `failed`
    where a mistake of this module or of a library leaves no other judgement.
    """
    try:
        if (
            topic is _MEMBERSHIP_COMMANDS
            and value is not None
            and len(value) <= record_bytes_max
            and (not headers or tuple(headers) == STRUCTURED_HEADERS)
            and _is_plain(value)
            and (command := _short(value, key, topic, timestamp_ms)) is not None
        ):
            return command
        return _judge(value, headers, key, topic, timestamp_ms=timestamp_ms, record_bytes_max=record_bytes_max)
    except MemoryError:
        raise  # says nothing about the record
    except Exception as error:  # noqa: BLE001 - one record must not end every worker that reads it
        return _unjudged(error, value, headers)


def _short(value: bytes, key: bytes | None, topic: Topic, timestamp_ms: int) -> Command | None:
    """The short way; None where the long one has to judge."""
    try:
        record = _membership_record(value)
    except ValidationError:
        return None
    command = _plain_change(record, key) or _command(record, key, topic, timestamp_ms)
    return command if type(command) is Command else None


def _plain_change(record: Record, key: bytes | None) -> Command | None:
    """The most frequent command, a good `membership.change` of names alone with its own time; None for all others."""
    data, time = record.data, record.time
    if type(data) is not MembershipChange or time is None or record.effectiveat is not None:
        return None
    if data.ttl is not None or data.expires_at is not None:
        return None
    user_id, add, remove = data.user_id, data.add or (), data.remove or ()
    count = len(add) + len(remove)
    if not 0 < count <= SEGMENTS_PER_COMMAND_MAX or key != user_id.encode():
        return None
    names = [item for item in add if type(item) is str]
    if len(names) != len(add) or (count > 1 and len({*names, *remove}) != count):
        return None
    change = Change(user_id, [(name, None) for name in names], list(remove))
    return _made(record, "membership.change", time, change, content_of_names(user_id, names, remove))


def _is_plain(value: bytes) -> bool:
    """Whether the value cannot hold what only the long way finds: NaN, Infinity and U+0000."""
    return (
        (_N not in value or b"NaN" not in value)
        and (_I not in value or b"Infinity" not in value)
        and (_BACKSLASH not in value or b"\\u0000" not in value)
    )


def _time(record: Envelope, timestamp_ms: int) -> datetime | None:
    return _sent(timestamp_ms) if record.time is None else record.time


def _sent(timestamp_ms: int) -> datetime | None:
    """The record's own time, if it is a date."""
    try:
        return datetime.fromtimestamp(timestamp_ms / 1000, UTC) if timestamp_ms >= 0 else None
    except (ValueError, OverflowError, OSError):
        return None


def _command(record: Record, key: bytes | None, topic: Topic, timestamp_ms: int) -> Command | list[FieldError]:
    """The rules that a validated record still has to meet."""
    time = _time(record, timestamp_ms)
    data, name, effective_at = record.data, _NAMES[record.type], record.effectiveat
    since, far, blank = time or _EPOCH, None, None
    if effective_at is not None:
        far = too_far(effective_at, _sent(timestamp_ms) or since)
        if effective_at > since:
            since, blank = effective_at, Problems(counted_from="effectiveat")
    payload: Payload | Problems
    if isinstance(data, MembershipChange):
        payload = resolve(data, since, blank)
    elif isinstance(data, ImportBegin):
        payload = resolve_opening(data, since)
    else:
        payload = data
    problems = payload if isinstance(payload, Problems) else _NONE
    wrong_key = key_error(topic, data, key)
    if time is None or wrong_key or problems.errors or far:
        errors = [] if time else [_NO_TIME]
        errors += [] if time is None and problems.timely else problems.errors
        errors += [error for error in (far, wrong_key) if error]
        is_by_record = record.time is None and blank is None and far is None
        if wrong_key or not problems.timely or not is_by_record or name == "membership.query":
            return errors
        content = content_of(name, data, effective_at)
        return _made(record, name, time or _EPOCH, _nothing(data), content)._replace(untimely=tuple(errors))
    assert not isinstance(payload, Problems)
    return _made(record, name, time, payload, content_of(name, data, effective_at))


def _nothing(data: object) -> Payload:
    """The data of a command that is refused when its name is fresh: only what it is about matters."""
    if isinstance(data, MembershipChange):
        return Change(data.user_id, [], [])
    if isinstance(data, ImportBegin):
        return Opening(data.import_id, data.segment, data.mode, None, registers=False)
    return data  # type: ignore[return-value] # all others are their own payload


def _made(record: Record, name: CommandType, time: datetime, payload: Payload, content: int) -> Command:
    return Command(
        name,
        record.id,
        record.source,
        time,
        record.correlationid,
        record.replyto,
        record.traceparent,
        payload,
        content,
        record.effectiveat,
    )


def _judge(
    value: bytes | None,
    headers: Sequence[tuple[str, bytes]],
    key: bytes | None,
    topic: Topic,
    *,
    timestamp_ms: int,
    record_bytes_max: int,
) -> Command | Refusal:
    """The long way."""
    size = size_of(value)
    if size is None or size > record_bytes_max:
        said = UNREAD if size is None else f"The value has {size:,} bytes"
        message = f"{said}; at most {record_bytes_max:,} are taken."
        return refusal(RejectionCode.TOO_LARGE, message, binding.header_attributes(headers))
    event = binding.read(value, headers)
    if key is not None and len(key) > RECORD_KEY_BYTES_MAX:
        return _key_too_large(key, event)
    if isinstance(event, binding.Unreadable):
        return refusal(RejectionCode.MALFORMED, event.message, event.attributes)
    return _judge_event(event, value or b"", key, topic, timestamp_ms=timestamp_ms)


def _unjudged(error: Exception, value: bytes | None, headers: Sequence[tuple[str, bytes]]) -> Refusal:
    attributes: Mapping[str, Any] = {}
    with suppress(Exception):  # it may be what has raised
        event = binding.read(value, headers)
        attributes = event.attributes if isinstance(event, binding.Unreadable) else event
    message = f"{UNJUDGED} ({type(error).__name__}: {shown(str(error))})."
    return refusal(RejectionCode.FAILED, message, attributes)


def _key_too_large(key: bytes, event: dict[str, Any] | binding.Unreadable) -> Refusal:
    said = f"has {size_of(key):,} bytes; at most {RECORD_KEY_BYTES_MAX:,} are taken"
    attributes = event.attributes if isinstance(event, binding.Unreadable) else event
    return refusal(RejectionCode.TOO_LARGE, f"The record key {said}.", attributes, [FieldError("key", said)])


def _judge_event(
    event: dict[str, Any], value: bytes, key: bytes | None, topic: Topic, *, timestamp_ms: int
) -> Command | Refusal:
    if errors := _attribute_errors(event):
        return refusal(
            RejectionCode.MALFORMED, f"The record is no CloudEvent: {sentences.summary(errors)}", event, errors
        )
    if unknown := _type_error(event["type"], topic):
        return refusal(RejectionCode.UNKNOWN_TYPE, unknown, event, [FieldError("type", unknown)])
    holds_nul = b"\\u0000" in value
    errors = [FieldError(sentences.path(at), "must not hold the character U+0000") for at in _nul(event, holds_nul)]
    command = errors or _validated(event, key, topic, timestamp_ms)
    if isinstance(command, Command):
        return command
    return refusal(RejectionCode.INVALID, f"The command is invalid: {sentences.summary(command)}", event, command)


def _nul(event: dict[str, Any], holds_nul: bool) -> list[tuple[str | int, ...]]:
    return [*binding.places_of_nul(event)] if holds_nul else []


def _attribute_errors(event: dict[str, Any]) -> list[FieldError]:
    """What keeps the object from being a CloudEvent: the required attributes alone."""
    given = {name: event[name] for name in REQUIRED_ATTRIBUTES if event.get(name) is not None}
    try:
        Envelope.model_validate(given)
    except ValidationError as found:
        return sentences.field_errors(found, given)
    return []


def _type_error(given: str, topic: Topic) -> str | None:
    """Why a type is not taken on a topic, or None."""
    name = _NAMES.get(given)
    if name is None:
        here = ", ".join(qualified(known) for known in names_on(topic))
        hint = f" Did you mean {qualified(given)}?" if given in COMMANDS else ""
        return f"There is no command {shown(given)}.{hint} The topic {topic.value} takes {here}."
    right = COMMANDS[name].topics
    if topic in right:
        return None
    where = " or ".join(one.value for one in right)
    return f"The command {given} belongs on the topic {where}, not on {topic.value}."


def _validated(event: dict[str, Any], key: bytes | None, topic: Topic, timestamp_ms: int) -> Command | list[FieldError]:
    spec = COMMANDS[_NAMES[event["type"]]]
    try:
        record = spec.record.model_validate(event)
    except ValidationError as found:
        return sentences.field_errors(found, event)
    return _command(record, key, topic, timestamp_ms)
