"""What every handler works with: one transaction, what time it is, and the journal rows gathered so far."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import UUID

from schemas.decode import Refusal, refused
from schemas.rejections import FieldError, RejectionCode
from worker.errors import WorkerError
from worker.journal import rows as journal
from worker.line.batch import QUERY, Received, ReceivedCommand
from worker.line.names import command_name
from worker.postgres.session import Session
from worker.settings import Settings

DataT = TypeVar("DataT")


class TooMuch(WorkerError):
    """These commands together are more than one transaction should do; some of them are not."""


@dataclass(slots=True)
class Context:
    """One transaction: where to write, what time it is, and the journal rows gathered so far."""

    session: Session
    now: datetime
    new_uuid: Callable[[], UUID]
    register_unknown_users: bool
    record_bytes_kept: int
    segments_of_user_max: int
    rows: list[journal.Row] = field(default_factory=list)
    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    refused: dict[str, list[bytes]] = field(default_factory=dict)
    """The names that refused commands have taken, by the codes."""
    holds_until: datetime | None = None
    """When the first of the memberships ends that were counted as active; later, what was decided is no longer true."""

    def hold(self, until: datetime | None) -> None:
        """A membership was counted as active that ends then; None: none that ends.

        Nor does one that has no zone: asyncpg reads PostgreSQL's infinity so, which earlier versions wrote for the last
        instant of the year 9999.
        """
        if until is not None and until.tzinfo is not None and (self.holds_until is None or until < self.holds_until):
            self.holds_until = until

    def count(self, record: ReceivedCommand[object], outcome: str) -> None:
        """Count the command for the metrics."""
        self._count(record.what.type, outcome)

    def reject(self, record: Received[Refusal]) -> None:
        """Journal a record that is no command."""
        self._append(record, record.what)
        self._count("unreadable", record.what.code)

    def refuse(
        self, record: ReceivedCommand[Any], code: RejectionCode, message: str, errors: Sequence[FieldError] = ()
    ) -> None:
        """Journal a good command as refused by the state that it met."""
        self.refuse_as(record, refused(record.what, code, message, errors))

    def refuse_as(self, record: ReceivedCommand[Any], refusal: Refusal, name: bytes | None = None) -> None:
        """… with these words, and under another name than its own."""
        self._append(record, refusal)
        if record.what.type != QUERY:
            self.refused.setdefault(refusal.code, []).append(name or command_name(record.what))
        self._count(record.what.type, refusal.code)

    def _append(self, record: Received[object], refusal: Refusal) -> None:
        row = journal.rejected(
            refusal,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            key=record.key,
            value=record.value,
            record_bytes=record.record_bytes,
            record_bytes_kept=self.record_bytes_kept,
        )
        self.rows.append(row)

    def _count(self, command_type: str, outcome: str) -> None:
        key = (command_type, outcome)
        self.counts[key] = self.counts.get(key, 0) + 1


def begin(session: Session, settings: Settings, now: datetime, new_uuid: Callable[[], UUID]) -> Context:
    """The context of a transaction that the session has open."""
    return Context(
        session,
        now,
        new_uuid,
        register_unknown_users=settings.users == "any",
        record_bytes_kept=settings.rejection_record_bytes,
        segments_of_user_max=settings.segments_of_user_max,
    )


class Handler(NamedTuple, Generic[DataT]):
    """How the commands of one type are decided, whose data is `data`."""

    data: type[DataT]
    decide: Callable[[Context, list[ReceivedCommand[DataT]]], Awaitable[None]]
    subject: Callable[[ReceivedCommand[DataT]], str]
    """What a command is about; those about the same are decided one after the other."""
    is_of_segments: bool = False
    """Their subjects are segments, not users, and they go before all others of their batch."""
    is_exclusive: bool = False
    """They end users or segments, so no other transaction may join such meanwhile."""


def unknown_user(user_id: str) -> tuple[str, list[FieldError]]:
    """What to tell about a user that nobody has registered."""
    message = f"User {user_id!r} is not known; register it with user.register first."
    return message, [FieldError("data.user_id", "user is not known")]
