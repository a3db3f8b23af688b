"""The events about commands that take effect later."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field, create_model

from schemas.event_values import Event, EventData, UserIdText
from schemas.times import Timestamp
from schemas.values import EventId, EventSource, Segment

if TYPE_CHECKING:

    class About(EventData):
        """What a command is about; the import stands in the field `import`."""

else:

    class About(
        create_model(
            "About",
            __base__=EventData,
            **{"import": (UserIdText | None, Field(default=None, description="Of `import.commit`."))},
        )
    ):
        """What a command is about; the import stands in the field `import`."""


class CommandScheduled(About):
    """A command will take effect at `effective_at`; what comes of it then has its id as `causationid`."""

    command_id: EventId
    command_source: EventSource
    command_type: str = Field(description="Such as `segmentation.segment.update.v1`.")
    effective_at: Timestamp
    segment: Segment | None = Field(default=None, description="Of a segment command.")
    user_id: UserIdText | None = Field(default=None, description="Of `membership.change` and `user.forget`.")


class CommandUnscheduled(CommandScheduled):
    """A command that was to take effect at `effective_at` will not: it was cancelled."""


class CommandScheduledEvent(Event):
    type: Literal["segmentation.command.scheduled.v1"]
    data: CommandScheduled


class CommandUnscheduledEvent(Event):
    type: Literal["segmentation.command.unscheduled.v1"]
    data: CommandUnscheduled
