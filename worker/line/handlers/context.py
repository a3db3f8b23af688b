"""What every handler works with: one transaction, what time it is, and the journal rows gathered so far."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from schemas.decode import Command, Refusal
from schemas.envelope import qualified
from schemas.rejections import FieldError, RejectionCode
from worker.journal import rows as journal
from worker.line.batch import Received
from worker.postgres.session import Session

T = TypeVar("T")


@dataclass(slots=True)
class Context:
    """One transaction: where to write, what time it is, and the journal rows gathered so far."""

    session: Session
    now: datetime
    new_uuid: Callable[[], UUID]
    register_unknown_users: bool
    record_bytes_kept: int
    rows: list[journal.Row] = field(default_factory=list)
    counts: dict[tuple[str, str], int] = field(default_factory=dict)

    def count(self, record: Received, outcome: str) -> None:
        """Count the command for the metrics."""
        key = (getattr(record.what, "type", None) or "unreadable", outcome)
        self.counts[key] = self.counts.get(key, 0) + 1

    def reject(self, record: Received, refusal: Refusal | journal.Rejection) -> None:
        """Journal the record as not applied."""
        self.rows.append(journal.rejected(record, refusal, self.record_bytes_kept))
        self.count(record, refusal.code)

    def refuse(self, record: Received, code: RejectionCode, message: str, errors: Sequence[FieldError] = ()) -> None:
        """Journal a good command as refused by the state that it met."""
        command = command_of(record)
        self.reject(
            record,
            journal.Rejection(
                code=code,
                message=message,
                errors=[error._asdict() for error in errors],
                command_id=command.id,
                command_source=command.source,
                command_type=qualified(command.type),
                correlationid=command.correlationid,
                traceparent=command.traceparent,
            ),
        )


def command_of(record: Received) -> Command:
    """The command of a record that was decoded as one."""
    assert isinstance(record.what, Command)
    return record.what


def data_of(record: Received, model: type[T]) -> T:
    """The command's data, of the type that its name says."""
    data = command_of(record).data
    assert isinstance(data, model)
    return data


def unknown_user(user_id: str) -> tuple[str, list[FieldError]]:
    """What to tell about a user that nobody has registered."""
    message = f"User {user_id!r} is not known; register it with user.register first."
    return message, [FieldError("data.user_id", "user is not known")]
