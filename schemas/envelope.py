"""The CloudEvents 1.0 envelope of a command, and the words that Kafka's binding uses."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from schemas.times import Timestamp
from schemas.values import CorrelationId, EventId, EventSource, ReplyTo, TraceParent

SPECVERSION = "1.0"
TYPE_CHARACTERS_MAX = 255
CONTENT_TYPE_HEADER = "content-type"
STRUCTURED = "application/cloudevents+json"
STRUCTURED_HEADERS: tuple[tuple[str, bytes], ...] = ((CONTENT_TYPE_HEADER, STRUCTURED.encode()),)
ATTRIBUTE_HEADER_PREFIX = "ce_"
JSON_MEDIA_TYPE_PATTERN = r"^[^/;\s]+/(?:[^/;\s]+\+)?[Jj][Ss][Oo][Nn]\s*(?:;.*)?$"

JsonMediaType = Annotated[
    str, StringConstraints(strict=True, pattern=JSON_MEDIA_TYPE_PATTERN), Field(title="JSON media type")
]

REQUIRED_ATTRIBUTES = ("specversion", "id", "source", "type")
"""Without these a record is no CloudEvent: `malformed`. What is wrong elsewhere in it is `invalid`."""


def qualified(name: str) -> str:
    """The CloudEvents `type` of a command or an event: `segment.create` is `segmentation.segment.create.v1`."""
    return f"segmentation.{name}.v1"


def unqualified(type: str) -> str:  # noqa: A002 - CloudEvents' own name
    """The name of which `qualified` makes the CloudEvents type; another text stays as it is."""
    return type.removeprefix("segmentation.").removesuffix(".v1")


class Envelope(BaseModel):
    """What every command carries around its data. What is null counts as absent, an unknown attribute is ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    specversion: Literal["1.0"]
    id: EventId = Field(description="Names the command together with `source`; the same pair again is a duplicate.")
    source: EventSource = Field(description="Who sends; a URI reference.")
    type: str
    time: Timestamp | None = Field(
        default=None, description="When the command was made; a ttl counts from it. Else the record's timestamp."
    )
    datacontenttype: JsonMediaType | None = Field(default=None, description="A JSON media type, where it is given.")
    data_base64: None = Field(default=None, description="Not taken: data is JSON, in `data`.")
    effectiveat: Timestamp | None = Field(
        default=None,
        description="When the command is to take effect, at most 2 years ahead; absent or not later than now: at once. "
        "Only with segment commands, `membership.change`, `user.forget` and `import.commit`. A ttl counts from it.",
    )
    correlationid: CorrelationId | None = Field(default=None, description="Handed on to the command's events.")
    replyto: ReplyTo | None = Field(
        default=None, description="The topic that a query's answer goes to; one that the deployment allows."
    )
    traceparent: TraceParent = Field(
        default=None,
        description="W3C trace context, handed on to the command's events; of another form it is ignored.",
    )


class Immediate(Envelope):
    """The envelope of commands that can't be scheduled."""

    effectiveat: None = Field(default=None, description="Not taken: this command takes effect at once.")


class Data(BaseModel):
    """The base of everything in `data`: an unknown field is an error; null, where absent is allowed, is absent."""

    model_config = ConfigDict(frozen=True, extra="forbid")
