"""Which segments a user is in, asked in microseconds: `Memberships` keeps what the topic of states says in a folder.

It is handed records of aiokafka or confluent-kafka, and has no client of its own. See `docs/state.md`.
"""

from schemas.reader.errors import (
    OutdatedError,
    ReaderError,
    RebuildNeededError,
    StalledError,
    StoreError,
    StoreFormatError,
    StoreFullError,
    StoreInUseError,
    TopicChangedError,
    UnexpectedRecordError,
    UnreadableRecordError,
)
from schemas.reader.memberships import Membership, Memberships

__all__ = [
    "Membership",
    "Memberships",
    "OutdatedError",
    "ReaderError",
    "RebuildNeededError",
    "StalledError",
    "StoreError",
    "StoreFormatError",
    "StoreFullError",
    "StoreInUseError",
    "TopicChangedError",
    "UnexpectedRecordError",
    "UnreadableRecordError",
]
