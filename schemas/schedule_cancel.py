"""The command that takes another one back, which is yet to take effect."""

from pydantic import Field

from schemas.envelope import Data
from schemas.values import EventId, EventSource


class ScheduleCancel(Data):
    """Takes a command back that is yet to take effect; sent on that command's topic, with its record key."""

    command_id: EventId = Field(description="The `id` of the command that is not to take effect.")
    command_source: EventSource = Field(description="Its `source`.")
