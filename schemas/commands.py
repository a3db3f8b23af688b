"""The commands: a model for each one's data and envelope, and the table of them all."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from schemas.envelope import Data, Envelope, Immediate
from schemas.forms import EMPTY, NULL, TEXT, never
from schemas.imports import ImportBegin, ImportCancel, ImportCommit, ImportUsers, Opening
from schemas.schedule_cancel import ScheduleCancel
from schemas.times import Timestamp, Ttl
from schemas.topics import Topic
from schemas.values import SEGMENTS_PER_COMMAND_MAX, Description, Owner, Percent, Segment, Tags, UserId

CommandType = Literal[
    "segment.create",
    "segment.update",
    "segment.delete",
    "user.register",
    "user.forget",
    "membership.change",
    "membership.query",
    "report.request",
    "import.begin",
    "import.users",
    "import.commit",
    "import.cancel",
    "schedule.cancel",
]
"""A command's name; `schemas.envelope.qualified` makes the CloudEvents type of it."""

CHANGEABLE = ("description", "owner", "tags", "percent")
"""The fields of a segment that `segment.update` can change."""


class SegmentCreate(Data):
    """Creates a segment; with a percent, starts its rollout."""

    segment: Segment
    description: Description | None = None
    owner: Owner | None = None
    tags: Tags | None = None
    percent: Percent | None = None


class SegmentUpdate(Data):
    """Changes a segment; a new percent ramps its rollout. An empty description or owner clears it, as `[]` the tags."""

    model_config = never(dict.fromkeys(CHANGEABLE, NULL))

    segment: Segment
    description: Description | None = None
    owner: Owner | None = None
    tags: Tags | None = Field(default=None, description="All of the segment's tags from now on.")
    percent: Percent | None = None
    on_decrease: Literal["release", "keep"] | None = Field(
        default=None,
        description="What becomes of rollout members that a smaller percent leaves outside; `release` if absent.",
    )

    @property
    def changed(self) -> frozenset[str]:
        """The fields among CHANGEABLE that the command gave; the others stay as they are."""
        return frozenset(name for name in CHANGEABLE if getattr(self, name) is not None)

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if not self.changed:
            raise PydanticCustomError("wrong", "must have at least one of description, owner, tags and percent")
        return self


class SegmentDelete(Data):
    """Deletes a segment and ends all its memberships; the name is free again at once."""

    segment: Segment


class UserRegister(Data):
    """Makes a user known and puts it in the rollouts that it falls in; again is no error."""

    user_id: UserId


class UserForget(Data):
    """Ends all memberships of a user and removes it."""

    user_id: UserId


class Addition(Data):
    """A segment to add a user to; a `ttl` or `expires_at` of its own overrides the command's."""

    model_config = never({"ttl": TEXT, "expires_at": TEXT})

    segment: Segment
    ttl: Ttl | None = None
    expires_at: Timestamp | None = None


Add = Annotated[Segment | Addition, Field(union_mode="left_to_right")]
_ONCE = Field(max_length=SEGMENTS_PER_COMMAND_MAX, json_schema_extra={"uniqueItems": True})
Adds = Annotated[tuple[Add, ...], _ONCE]
Removes = Annotated[tuple[Segment, ...], _ONCE]


class MembershipChange(Data):
    """Adds a user to segments and removes it from others, all of it or nothing."""

    model_config = never(
        {"add": EMPTY, "remove": EMPTY},
        {"add": EMPTY, "ttl": TEXT},
        {"add": EMPTY, "expires_at": TEXT},
        {"ttl": TEXT, "expires_at": TEXT},
    )

    user_id: UserId
    add: Adds | None = None
    remove: Removes | None = None
    ttl: Ttl | None = None
    expires_at: Timestamp | None = None


class MembershipQuery(Data):
    """Asks for the active segments of a user."""

    user_id: UserId


class ReportRequest(Data):
    """Makes (or makes again) the report of a month."""

    year: int = Field(strict=True, ge=1970, le=9999)
    month: int = Field(strict=True, ge=1, le=12)


class Change(NamedTuple):
    """`membership.change` as it is applied: ids as text, each expiry resolved to an instant in UTC (None for none)."""

    user_id: str
    add: list[tuple[str, datetime | None]]
    remove: list[str]


Payload = (
    SegmentCreate
    | SegmentUpdate
    | SegmentDelete
    | UserRegister
    | UserForget
    | Change
    | MembershipQuery
    | ReportRequest
    | Opening
    | ImportUsers
    | ImportCommit
    | ImportCancel
    | ScheduleCancel
)


class SegmentCreateCommand(Envelope):
    type: Literal["segmentation.segment.create.v1"]
    data: SegmentCreate


class SegmentUpdateCommand(Envelope):
    type: Literal["segmentation.segment.update.v1"]
    data: SegmentUpdate


class SegmentDeleteCommand(Envelope):
    type: Literal["segmentation.segment.delete.v1"]
    data: SegmentDelete


class UserRegisterCommand(Immediate):
    type: Literal["segmentation.user.register.v1"]
    data: UserRegister


class UserForgetCommand(Envelope):
    type: Literal["segmentation.user.forget.v1"]
    data: UserForget


class MembershipChangeCommand(Envelope):
    type: Literal["segmentation.membership.change.v1"]
    data: MembershipChange


class MembershipQueryCommand(Immediate):
    type: Literal["segmentation.membership.query.v1"]
    data: MembershipQuery


class ReportRequestCommand(Immediate):
    type: Literal["segmentation.report.request.v1"]
    data: ReportRequest


class ImportBeginCommand(Immediate):
    type: Literal["segmentation.import.begin.v1"]
    data: ImportBegin


class ImportUsersCommand(Immediate):
    type: Literal["segmentation.import.users.v1"]
    data: ImportUsers


class ImportCommitCommand(Envelope):
    type: Literal["segmentation.import.commit.v1"]
    data: ImportCommit


class ImportCancelCommand(Immediate):
    type: Literal["segmentation.import.cancel.v1"]
    data: ImportCancel


class ScheduleCancelCommand(Immediate):
    type: Literal["segmentation.schedule.cancel.v1"]
    data: ScheduleCancel


Record = (
    SegmentCreateCommand
    | SegmentUpdateCommand
    | SegmentDeleteCommand
    | UserRegisterCommand
    | UserForgetCommand
    | MembershipChangeCommand
    | MembershipQueryCommand
    | ReportRequestCommand
    | ImportBeginCommand
    | ImportUsersCommand
    | ImportCommitCommand
    | ImportCancelCommand
    | ScheduleCancelCommand
)
"""A command's whole CloudEvent as it came."""


class CommandSpec(NamedTuple):
    """A command: its CloudEvent's model, its data's model, the topic where it belongs, and others where it may be."""

    record: type[Record]
    data: type[Data]
    topic: Topic
    others: tuple[Topic, ...] = ()

    @property
    def topics(self) -> tuple[Topic, ...]:
        """All topics where it is taken."""
        return (self.topic, *self.others)


COMMANDS: dict[CommandType, CommandSpec] = {
    "segment.create": CommandSpec(SegmentCreateCommand, SegmentCreate, Topic.SEGMENT_COMMANDS),
    "segment.update": CommandSpec(SegmentUpdateCommand, SegmentUpdate, Topic.SEGMENT_COMMANDS),
    "segment.delete": CommandSpec(SegmentDeleteCommand, SegmentDelete, Topic.SEGMENT_COMMANDS),
    "user.register": CommandSpec(UserRegisterCommand, UserRegister, Topic.MEMBERSHIP_COMMANDS),
    "user.forget": CommandSpec(UserForgetCommand, UserForget, Topic.MEMBERSHIP_COMMANDS),
    "membership.change": CommandSpec(MembershipChangeCommand, MembershipChange, Topic.MEMBERSHIP_COMMANDS),
    "membership.query": CommandSpec(MembershipQueryCommand, MembershipQuery, Topic.MEMBERSHIP_COMMANDS),
    "report.request": CommandSpec(ReportRequestCommand, ReportRequest, Topic.REPORT_COMMANDS),
    "import.begin": CommandSpec(ImportBeginCommand, ImportBegin, Topic.IMPORT_COMMANDS),
    "import.users": CommandSpec(ImportUsersCommand, ImportUsers, Topic.IMPORT_COMMANDS),
    "import.commit": CommandSpec(ImportCommitCommand, ImportCommit, Topic.IMPORT_COMMANDS),
    "import.cancel": CommandSpec(ImportCancelCommand, ImportCancel, Topic.IMPORT_COMMANDS),
    "schedule.cancel": CommandSpec(
        ScheduleCancelCommand,
        ScheduleCancel,
        Topic.SEGMENT_COMMANDS,
        others=(Topic.MEMBERSHIP_COMMANDS, Topic.IMPORT_COMMANDS),
    ),
}


def names_on(topic: Topic) -> Sequence[CommandType]:
    """The commands that belong on a topic."""
    return [name for name, spec in COMMANDS.items() if topic in spec.topics]
