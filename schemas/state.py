"""The records of the compacted topic `memberships`: which segments a user is in, as of a number of the journal."""

from datetime import datetime
from typing import Any, NamedTuple

import orjson
from pydantic import Field

from schemas.envelope import ATTRIBUTE_HEADER_PREFIX, CONTENT_TYPE_HEADER, REQUIRED_ATTRIBUTES, SPECVERSION, qualified
from schemas.event_values import Count, EventData, UserIdText
from schemas.events import ActiveMembership
from schemas.times import rfc3339
from schemas.topics import Topic

STATE = "membership.state"
"""The name of the records' CloudEvents type."""
ID_HEADER = f"{ATTRIBUTE_HEADER_PREFIX}id"
SEQUENCE_HEADER = f"{ATTRIBUTE_HEADER_PREFIX}sequence"
STATE_ITEMS_MAX = 35_000
"""Segments in one record; with names of full length they just fit into the largest record that the relay writes."""

HEADERS = (
    CONTENT_TYPE_HEADER,
    *(f"{ATTRIBUTE_HEADER_PREFIX}{name}" for name in (*REQUIRED_ATTRIBUTES, "time", "sequence")),
)
"""A CloudEvent in binary mode, so that the value is the user's state and nothing else. Tombstones have them, too."""

_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC


class MembershipState(EventData):
    """The segments that a user is in. A record without a value says that the user was forgotten."""

    user_id: UserIdText
    sequence: Count = Field(
        description="The record holds all that the events up to this number say; never less than that of the events "
        "in the same transaction."
    )
    segments: tuple[ActiveMembership, ...] = Field(
        description="Read `expires_at` against your own clock: what is over stands here until its event says so."
    )
    omitted: Count | None = Field(
        default=None, description="How many segments more there are; left out where one record has all."
    )


class StateSpec(NamedTuple):
    """As the specs of commands and events: the model of the value and the topic."""

    data: type[MembershipState]
    topic: Topic

    @property
    def topics(self) -> tuple[Topic, ...]:
        """The one topic."""
        return (self.topic,)


SPEC = StateSpec(MembershipState, Topic.MEMBERSHIPS)


def encode_state(user_id: str, sequence: int, segments: list[dict[str, Any]]) -> bytes:
    """A record's value; the segments are as in `ActiveMembership`, their times datetimes in UTC."""
    state: dict[str, Any] = {"user_id": user_id, "sequence": sequence, "segments": segments[:STATE_ITEMS_MAX]}
    if len(segments) > STATE_ITEMS_MAX:
        state["omitted"] = len(segments) - STATE_ITEMS_MAX
    return orjson.dumps(state, None, _OPTIONS)


def state_headers(source: str, time: datetime, sequence: int) -> list[tuple[str, bytes]]:
    """All but the id, which is to be added."""
    return [
        (CONTENT_TYPE_HEADER, b"application/json"),
        (f"{ATTRIBUTE_HEADER_PREFIX}specversion", SPECVERSION.encode()),
        (f"{ATTRIBUTE_HEADER_PREFIX}source", source.encode()),
        (f"{ATTRIBUTE_HEADER_PREFIX}type", qualified(STATE).encode()),
        (f"{ATTRIBUTE_HEADER_PREFIX}time", rfc3339(time).encode()),
        (SEQUENCE_HEADER, str(sequence).encode()),
    ]
