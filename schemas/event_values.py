"""What the events' models are made of."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.envelope import JsonMediaType
from schemas.times import Timestamp
from schemas.values import ATTRIBUTE_PATTERN, USER_ID_CHARACTERS_MAX, EventId, EventSource


def open_text(known: Sequence[str], what: str) -> Any:
    """A text whose known values are listed; a new one must not break a subscriber."""
    listed = ", ".join(f"`{value}`" for value in known)
    return Field(min_length=1, examples=[*known], description=f"{what}: {listed}. Subscribers must accept new ones.")


SegmentId = Annotated[str, Field(pattern=r"^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$", description="A UUID.")]
UserIdText = Annotated[str, Field(min_length=1, max_length=USER_ID_CHARACTERS_MAX)]
Count = Annotated[int, Field(strict=True, ge=0)]


class EventData(BaseModel):
    """The base of everything in an event's `data`."""

    model_config = ConfigDict(frozen=True)


class Event(BaseModel):
    """What every event carries around its data."""

    model_config = ConfigDict(frozen=True)

    specversion: Literal["1.0"]
    id: EventId = Field(description="The same whenever the event is sent again.")
    source: EventSource
    type: str
    time: Timestamp
    subject: str = Field(
        min_length=1,
        description="What the event is about, which is the record key: the user id, the segment, the import or the "
        "month. Of `command.rejected` it is the record's place, `topic/partition/offset`.",
    )
    datacontenttype: JsonMediaType
    partitionkey: str | None = Field(default=None, description="The record key; of a refused record's, the beginning.")
    sequence: str | None = Field(
        default=None, pattern=r"^[0-9]+$", description="Grows strictly along the journal, so for each user too."
    )
    causationid: str | None = Field(default=None, pattern=ATTRIBUTE_PATTERN, description="The command's `id`.")
    causationsource: str | None = Field(
        default=None, pattern=ATTRIBUTE_PATTERN, description="The command's `source`, which with its id names it."
    )
    correlationid: str | None = Field(default=None, description="The command's.")
    traceparent: str | None = Field(default=None, description="The command's.")
