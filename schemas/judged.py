"""What a record turns out to be: a command, or a refusal."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, NamedTuple

from typing_extensions import TypeVar  # pydantic brings it; it has defaults

from schemas import sentences
from schemas.commands import CommandType, Payload
from schemas.envelope import TYPE_CHARACTERS_MAX, qualified
from schemas.rejections import FieldError, RefusalCode, RejectionCode
from schemas.values import (
    ATTRIBUTE_PATTERN,
    CORRELATIONID_CHARACTERS_MAX,
    ID_CHARACTERS_MAX,
    SOURCE_CHARACTERS_MAX,
    traceparent,
)

_ATTRIBUTE = re.compile(ATTRIBUTE_PATTERN[1:-1])
DataT_co = TypeVar("DataT_co", default=Payload, covariant=True)


class Command(NamedTuple, Generic[DataT_co]):
    """A command that is sound by itself; its type decides that of its data.

    `time` is its own or the record's, in UTC; a ttl has been counted from it.
    """

    type: CommandType
    id: str
    source: str
    time: datetime
    correlationid: str | None
    replyto: str | None
    traceparent: str | None
    data: DataT_co
    content: int
    """A hash of type and data (`schemas.content`): a retry has the same one."""
    effective_at: datetime | None = None
    """When it is to take effect, in UTC, if it says so; not later than now, it is a command like others."""
    untimely: tuple[FieldError, ...] = ()
    """What is wrong with it by the record's timestamp alone. It is refused, unless its name was decided before: the
    same bytes, sent again later, would be wrong though they were right. `data` is of no use then."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a record was not applied: it is no command, or the state that it met refused it.

    What could be read of a record's attributes is text within the limits, else None.
    """

    code: RejectionCode
    message: str
    errors: list[dict[str, str]]
    """Each `{"field", "message"}`; at most `sentences.ERRORS_MAX` of them."""
    command_id: str | None
    command_source: str | None
    command_type: str | None
    correlationid: str | None
    traceparent: str | None


def refusal(
    code: RefusalCode, message: str, attributes: Mapping[str, Any], errors: Sequence[FieldError] = ()
) -> Refusal:
    """The refusal of a record by its own bytes, with those of its attributes that are text within the limits."""

    def read(name: str, characters_max: int) -> str | None:
        text = attributes.get(name)
        fits = isinstance(text, str) and len(text) <= characters_max and _ATTRIBUTE.fullmatch(text)
        return text if fits else None

    return Refusal(
        code=code,
        message=message,
        errors=[error._asdict() for error in errors[: sentences.ERRORS_MAX]],
        command_id=read("id", ID_CHARACTERS_MAX),
        command_source=read("source", SOURCE_CHARACTERS_MAX),
        command_type=read("type", TYPE_CHARACTERS_MAX),
        correlationid=read("correlationid", CORRELATIONID_CHARACTERS_MAX),
        traceparent=traceparent(attributes.get("traceparent")),
    )


def refused(command: Command, code: RejectionCode, message: str, errors: Sequence[FieldError] = ()) -> Refusal:
    """The refusal of a good command by the state that it met."""
    return Refusal(
        code=code,
        message=message,
        errors=[error._asdict() for error in errors],
        command_id=command.id,
        command_source=command.source,
        command_type=qualified(command.type),
        correlationid=command.correlationid,
        traceparent=command.traceparent,
    )


def untimely(command: Command) -> Refusal:
    """The refusal of a command that is wrong by the record's timestamp alone."""
    errors = command.untimely
    message = f"The command is invalid: {sentences.summary(errors)}"
    return refused(command, RejectionCode.INVALID, message, errors[: sentences.ERRORS_MAX])
