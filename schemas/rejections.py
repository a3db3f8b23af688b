"""The codes of `command.rejected`, each with its meaning. Clients branch on them, so a code is never renamed."""

from enum import StrEnum
from typing import Literal, NamedTuple

from schemas.values import RECORD_KEY_BYTES_MAX


class RejectionCode(StrEnum):
    """Why a record was not applied."""

    MALFORMED = "malformed"
    UNKNOWN_TYPE = "unknown_type"
    INVALID = "invalid"
    TOO_LARGE = "too_large"
    SEGMENT_NOT_FOUND = "segment_not_found"
    SEGMENT_EXISTS = "segment_exists"
    USER_NOT_FOUND = "user_not_found"
    ID_REUSED = "id_reused"
    TOO_MANY_SEGMENTS = "too_many_segments"
    IMPORT_EXISTS = "import_exists"
    IMPORT_NOT_FOUND = "import_not_found"
    IMPORT_CLOSED = "import_closed"
    NOT_SCHEDULED = "not_scheduled"
    FAILED = "failed"


RefusalCode = Literal[
    RejectionCode.MALFORMED,
    RejectionCode.UNKNOWN_TYPE,
    RejectionCode.INVALID,
    RejectionCode.TOO_LARGE,
    RejectionCode.FAILED,
]
"""The codes that a record can get from its bytes alone, before any state is looked at."""

MEANINGS: dict[RejectionCode, str] = {
    RejectionCode.MALFORMED: "the value is empty, not JSON or no CloudEvent (or a batch of them)",
    RejectionCode.UNKNOWN_TYPE: "no such command, or a command on a topic where it does not belong",
    RejectionCode.INVALID: "the data breaks its schema; `errors` names each field and what it must be",
    RejectionCode.TOO_LARGE: "the value is larger than `SEGMENTATION_RECORD_BYTES_MAX`, or the key than "
    f"{RECORD_KEY_BYTES_MAX:,} bytes; of such a key the event has the beginning",
    RejectionCode.SEGMENT_NOT_FOUND: "there is no such segment; `errors` lists every one that is missing",
    RejectionCode.SEGMENT_EXISTS: "there is a segment of that name already",
    RejectionCode.USER_NOT_FOUND: "there is no such user, and `SEGMENTATION_USERS` is `registered`; or the user was "
    "forgotten after the command was scheduled",
    RejectionCode.ID_REUSED: "another command, of another type, with other data or for another instant, has used this "
    "`source` and `id` within `SEGMENTATION_DEDUPLICATION_WINDOW`; said once",
    RejectionCode.TOO_MANY_SEGMENTS: "the user would be in more segments, or more segments would have a percent, than "
    "`SEGMENTATION_SEGMENTS_OF_USER_MAX`",
    RejectionCode.IMPORT_EXISTS: "there is, or lately was, an import of that id: choose another one",
    RejectionCode.IMPORT_NOT_FOUND: "there is no import of that id: begin it with `import.begin`",
    RejectionCode.IMPORT_CLOSED: "the import was committed, cancelled or abandoned before: nothing can be added to it; "
    "of an `import.commit` also that the import was cancelled before all of it was applied",
    RejectionCode.NOT_SCHEDULED: "no command of that id and source waits on this topic and under this key: it has "
    "taken effect, was cancelled, or was never scheduled",
    RejectionCode.FAILED: "applying this one command failed in the database for a reason of its own"
    "; the rest of its batch went through. Or a mistake in the worker kept it from being judged or applied",
}


class FieldError(NamedTuple):
    """What is wrong with one field: `field` is its path, such as `data.add[0].ttl`, `message` a sentence about it."""

    field: str
    message: str
