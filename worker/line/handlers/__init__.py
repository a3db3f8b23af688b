"""What each command does, as sets: a handler decides all commands of its type in a round with one statement."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

from schemas.commands import (
    Change,
    CommandType,
    ReportRequest,
    SegmentCreate,
    SegmentDelete,
    SegmentUpdate,
    UserForget,
    UserRegister,
)
from schemas.imports import ImportCancel, ImportCommit, ImportUsers, Opening
from schemas.schedule_cancel import ScheduleCancel
from schemas.topics import Topic
from worker.line.batch import ReceivedCommand
from worker.line.handlers.context import Context, Handler, TooMuch, begin
from worker.line.handlers.imports import add_import_users, begin_imports, cancel_imports, commit_imports
from worker.line.handlers.memberships import change_memberships
from worker.line.handlers.reports import request_reports
from worker.line.handlers.schedules import cancel_scheduled
from worker.line.handlers.segments import create_segments, delete_segments, update_segments
from worker.line.handlers.users import forget_users, register_users

__all__ = ["HANDLERS", "Context", "Handler", "TooMuch", "begin"]

_segment, _user = attrgetter("what.data.segment"), attrgetter("what.data.user_id")


def _month(record: ReceivedCommand[ReportRequest]) -> str:
    return f"{record.what.data.year} {record.what.data.month}"  # no user's id has a space


def _import(record: ReceivedCommand[Opening | ImportUsers | ImportCommit | ImportCancel]) -> str:
    return f"{record.what.data.import_id} "  # nor has an import's, and it is told from a user's


def _cancelled(record: ReceivedCommand[ScheduleCancel]) -> str:
    """That of the command that is cancelled: the record key is the same, and is all that is known of it."""
    key = (record.key or b"").decode(errors="replace")
    return f"{key} " if record.topic.endswith(Topic.IMPORT_COMMANDS) else key


HANDLERS: dict[CommandType, Handler[Any]] = {
    "segment.create": Handler[SegmentCreate](
        SegmentCreate, create_segments, _segment, is_of_segments=True, is_exclusive=True
    ),
    "segment.update": Handler[SegmentUpdate](
        SegmentUpdate, update_segments, _segment, is_of_segments=True, is_exclusive=True
    ),
    "segment.delete": Handler[SegmentDelete](
        SegmentDelete, delete_segments, _segment, is_of_segments=True, is_exclusive=True
    ),
    "user.register": Handler[UserRegister](UserRegister, register_users, _user),
    "user.forget": Handler[UserForget](UserForget, forget_users, _user, is_exclusive=True),
    "membership.change": Handler[Change](Change, change_memberships, _user),
    "import.begin": Handler[Opening](Opening, begin_imports, _import),
    "import.users": Handler[ImportUsers](ImportUsers, add_import_users, _import),
    "import.commit": Handler[ImportCommit](ImportCommit, commit_imports, _import),
    "import.cancel": Handler[ImportCancel](ImportCancel, cancel_imports, _import),
    "schedule.cancel": Handler[ScheduleCancel](ScheduleCancel, cancel_scheduled, _cancelled),
    "report.request": Handler[ReportRequest](ReportRequest, request_reports, _month),
}
"""Every command that changes state; in a round they are done in this order, which no outcome depends on."""
