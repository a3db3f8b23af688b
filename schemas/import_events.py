"""The events about lists of users."""

from typing import TYPE_CHECKING, Literal, get_args

from pydantic import Field, create_model

from schemas.event_values import Count, Event, EventData, SegmentId, UserIdText, open_text
from schemas.times import Timestamp
from schemas.values import Segment

Mode = Literal["add", "remove", "replace"]
ImportFailure = Literal["count_mismatch", "segment_deleted", "cancelled", "abandoned"]


IMPORT_FAILURES: dict[str, str] = {
    "count_mismatch": "The commit says that {users:,} user ids were sent, but {received:,} have come; "
    "nothing was applied.",
    "segment_deleted": "Segment {segment!r} was deleted; what was applied before it has ended with it.",
    "cancelled": "It was cancelled; memberships that were already changed stay.",
    "abandoned": "It was not committed in time; nothing was applied.",
}
"""What to say of an import that failed, by its code."""


if TYPE_CHECKING:

    class Named(EventData):
        """What names an import, in the field `import`."""

else:

    class Named(create_model("Named", __base__=EventData, **{"import": (UserIdText, ...)})):
        """What names an import, in the field `import`."""


class ImportBegan(Named):
    """A list of users is open."""

    segment: Segment
    segment_id: SegmentId
    mode: str = open_text(get_args(Mode), "What is done with the list")


class ImportReceived(ImportBegan):
    """Users were added to the list."""

    received: Count = Field(description="User ids so far, repeats included.")


class ImportCompleted(ImportReceived):
    """A list was applied to its last user. The counts are of users."""

    users: Count = Field(description="Different ones on the list.")
    entered: Count
    exited: Count
    renewed: Count
    unchanged: Count
    registered: Count = Field(description="Users who became known by it.")
    unknown: Count = Field(description="Users whom nobody has registered, and who were left out.")
    unknown_sample: tuple[UserIdText, ...] = Field(description="At most 50 of them.")
    too_many_segments: Count = Field(description="Users who would have been in too many segments, and were left out.")
    too_many_segments_sample: tuple[UserIdText, ...] = Field(description="At most 50 of them.")
    began_at: Timestamp


class ImportFailed(Named):
    """A list was dropped; what was applied before stays."""

    segment: Segment
    code: str = open_text(get_args(ImportFailure), "Why")
    message: str


class ImportBeganEvent(Event):
    type: Literal["segmentation.import.began.v1"]
    data: ImportBegan


class ImportReceivedEvent(Event):
    type: Literal["segmentation.import.received.v1"]
    data: ImportReceived


class ImportCompletedEvent(Event):
    type: Literal["segmentation.import.completed.v1"]
    data: ImportCompleted


class ImportFailedEvent(Event):
    type: Literal["segmentation.import.failed.v1"]
    data: ImportFailed
