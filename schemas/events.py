"""The events: a model for each one's data and envelope, and the table of them all.

The models document and check; what is sent is written by `schemas.encode`. Subscribers must ignore fields and accept
reasons that they do not know, so the models do too; `check_event` is strict, for our own tests.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

from pydantic import Field

from schemas.event_values import Count, Event, EventData, SegmentId, UserIdText, open_text
from schemas.import_events import (
    ImportBegan,
    ImportBeganEvent,
    ImportCompleted,
    ImportCompletedEvent,
    ImportFailed,
    ImportFailedEvent,
    ImportReceived,
    ImportReceivedEvent,
)
from schemas.rejections import RejectionCode
from schemas.report_events import ReportFailed, ReportFailedEvent, ReportPublished, ReportPublishedEvent
from schemas.schedule_events import (
    CommandScheduled,
    CommandScheduledEvent,
    CommandUnscheduled,
    CommandUnscheduledEvent,
)
from schemas.times import Timestamp
from schemas.topics import Topic
from schemas.values import Percent, Segment

EventType = Literal[
    "segment.created",
    "segment.updated",
    "segment.deleted",
    "segment.populated",
    "membership.changed",
    "report.published",
    "report.failed",
    "import.began",
    "import.received",
    "import.completed",
    "import.failed",
    "command.rejected",
    "command.scheduled",
    "command.unscheduled",
    "membership.snapshot",
]
"""An event's name; `schemas.envelope.qualified` makes the CloudEvents type of it."""

Reason = Literal["command", "rollout", "expiry", "segment_deleted", "user_registered", "user_forgotten", "import"]
"""Why memberships changed, as of now; more may come."""

Cause = Literal["rollout", "segment_deleted"]
Origin = Literal["command", "rollout"]


class SegmentState(EventData):
    """A segment as it is now."""

    segment: Segment
    segment_id: SegmentId = Field(description="Names this generation of the segment; a name can be used again.")
    salt: SegmentId = Field(description="What the buckets of the segment's percent are computed with.")
    description: str | None
    owner: str | None
    tags: tuple[str, ...]
    percent: Percent | None = Field(description="null while the segment has had no percent.")


class SegmentDeleted(EventData):
    """A segment is gone, and so are its memberships; `segment.populated` tells when each user's event has been made."""

    segment: Segment
    segment_id: SegmentId


class SegmentPopulated(EventData):
    """A rollout or a deletion has run to its end."""

    segment: Segment
    segment_id: SegmentId
    cause: str = open_text(get_args(Cause), "What has run")
    percent: Percent | None
    entered: Count
    exited: Count


class Entered(EventData):
    """A membership that began or whose expiry changed; `expires_at` is null for one without end."""

    segment: Segment
    segment_id: SegmentId
    expires_at: Timestamp | None


class Exited(EventData):
    """A membership that ended."""

    segment: Segment
    segment_id: SegmentId


class MembershipChanged(EventData):
    """What changed for a user. The lists keep the command's order."""

    user_id: UserIdText
    reason: str = open_text(get_args(Reason), "Why")
    entered: tuple[Entered, ...]
    exited: tuple[Exited, ...]
    renewed: tuple[Entered, ...] = Field(description="Active memberships that got another expiry.")
    unchanged: tuple[Segment, ...] = Field(description="Segments for which nothing had to change.")
    omitted: Count | None = Field(
        default=None,
        description="How many segments more the lists would name; left out where there are none. One event names at "
        "most 40,000, which only a user can exceed who was in more of them before there was a limit; and no more than "
        "fit into the topic's `max.message.bytes`, where that was lowered.",
    )


class RejectedField(EventData):
    """What is wrong with one field, `field` being its path."""

    field: str
    message: str


class CommandRejected(EventData):
    """A record was not applied, and why. What could not be read of its attributes is left out."""

    code: str = open_text([*RejectionCode], "Why; the codes are explained below")
    message: str
    errors: tuple[RejectedField, ...]
    omitted: Count | None = Field(
        default=None,
        description="How many errors more there are; left out where there are none. They are only left out where the "
        "topic's `max.message.bytes` was lowered so far that they do not fit.",
    )
    topic: str
    partition: Count
    offset: Count
    command_id: str | None = None
    command_source: str | None = None
    command_type: str | None = None
    record: str | None = Field(
        description="The value as it came, base64, cut at `SEGMENTATION_REJECTION_RECORD_BYTES` (4,096 by default); "
        "null for none.",
        json_schema_extra={"contentEncoding": "base64"},
    )
    record_bytes: Count = Field(
        description="The value's full size; 0 where it was not read, as its batch is too large."
    )


class ActiveMembership(EventData):
    """A segment that the user is in."""

    segment: Segment
    segment_id: SegmentId
    origin: str = open_text(get_args(Origin), "What has brought the user in")
    since: Timestamp
    expires_at: Timestamp | None


class MembershipSnapshot(EventData):
    """The answer to a query: the user's active segments."""

    user_id: UserIdText
    segments: tuple[ActiveMembership, ...]
    more: bool | None = Field(default=None, description="true where there are more than the 40,000 of one answer.")


class SegmentCreatedEvent(Event):
    type: Literal["segmentation.segment.created.v1"]
    data: SegmentState


class SegmentUpdatedEvent(Event):
    type: Literal["segmentation.segment.updated.v1"]
    data: SegmentState


class SegmentDeletedEvent(Event):
    type: Literal["segmentation.segment.deleted.v1"]
    data: SegmentDeleted


class SegmentPopulatedEvent(Event):
    type: Literal["segmentation.segment.populated.v1"]
    data: SegmentPopulated


class MembershipChangedEvent(Event):
    type: Literal["segmentation.membership.changed.v1"]
    data: MembershipChanged


class CommandRejectedEvent(Event):
    type: Literal["segmentation.command.rejected.v1"]
    data: CommandRejected


class MembershipSnapshotEvent(Event):
    type: Literal["segmentation.membership.snapshot.v1"]
    data: MembershipSnapshot


class EventSpec(NamedTuple):
    """An event: its CloudEvent's model, its data's model, the topic it goes to, what it tells, other topics."""

    record: type[Event]
    data: type[EventData]
    topic: Topic
    tells: str
    others: tuple[Topic, ...] = ()

    @property
    def topics(self) -> tuple[Topic, ...]:
        """All topics that it goes to."""
        return (self.topic, *self.others)


SUBJECT_TOPICS = {"user_id": Topic.MEMBERSHIP_EVENTS, "segment": Topic.SEGMENT_EVENTS, "import": Topic.IMPORT_EVENTS}
"""Where the outcome of a command goes, by what it is about."""
_WHERE_OUTCOMES_GO = (Topic.MEMBERSHIP_EVENTS, Topic.IMPORT_EVENTS)


EVENTS: dict[EventType, EventSpec] = {
    "segment.created": EventSpec(SegmentCreatedEvent, SegmentState, Topic.SEGMENT_EVENTS, "a segment is new"),
    "segment.updated": EventSpec(
        SegmentUpdatedEvent, SegmentState, Topic.SEGMENT_EVENTS, "a segment was changed by command"
    ),
    "segment.deleted": EventSpec(
        SegmentDeletedEvent, SegmentDeleted, Topic.SEGMENT_EVENTS, "a segment and its memberships are gone"
    ),
    "segment.populated": EventSpec(
        SegmentPopulatedEvent, SegmentPopulated, Topic.SEGMENT_EVENTS, "a rollout or a deletion has run to its end"
    ),
    "membership.changed": EventSpec(
        MembershipChangedEvent, MembershipChanged, Topic.MEMBERSHIP_EVENTS, "what changed for a user, and why"
    ),
    "report.published": EventSpec(
        ReportPublishedEvent, ReportPublished, Topic.REPORT_EVENTS, "a month's report can be had"
    ),
    "report.failed": EventSpec(
        ReportFailedEvent, ReportFailed, Topic.REPORT_EVENTS, "a month's report could not be made or published"
    ),
    "import.began": EventSpec(ImportBeganEvent, ImportBegan, Topic.IMPORT_EVENTS, "a list of users is open"),
    "import.received": EventSpec(
        ImportReceivedEvent, ImportReceived, Topic.IMPORT_EVENTS, "users were added to a list"
    ),
    "import.completed": EventSpec(
        ImportCompletedEvent, ImportCompleted, Topic.IMPORT_EVENTS, "a list was applied to its last user"
    ),
    "import.failed": EventSpec(ImportFailedEvent, ImportFailed, Topic.IMPORT_EVENTS, "a list was dropped"),
    "command.rejected": EventSpec(
        CommandRejectedEvent, CommandRejected, Topic.REJECTIONS, "a record was not applied, and why"
    ),
    "command.scheduled": EventSpec(
        CommandScheduledEvent,
        CommandScheduled,
        Topic.SEGMENT_EVENTS,
        "a command will take effect later",
        others=_WHERE_OUTCOMES_GO,
    ),
    "command.unscheduled": EventSpec(
        CommandUnscheduledEvent,
        CommandUnscheduled,
        Topic.SEGMENT_EVENTS,
        "a command will not take effect, as it was cancelled",
        others=_WHERE_OUTCOMES_GO,
    ),
    "membership.snapshot": EventSpec(
        MembershipSnapshotEvent, MembershipSnapshot, Topic.REPLIES, "the answer to a query: a user's active segments"
    ),
}


def check_event(name: EventType, value: bytes) -> Event:
    """The event in a record's value; raises pydantic's ValidationError, also for a field that is not documented."""
    return EVENTS[name].record.model_validate_json(value, extra="forbid")


def names_on(topic: Topic) -> Sequence[EventType]:
    """The events that go to a topic."""
    return [name for name, spec in EVENTS.items() if topic in spec.topics]
