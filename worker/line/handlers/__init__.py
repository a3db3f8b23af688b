"""What each command does, as sets: a handler decides all commands of its type in a round with one statement."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from worker.line.batch import Received
from worker.line.handlers.context import Context, command_of
from worker.line.handlers.memberships import change_memberships
from worker.line.handlers.reports import request_reports
from worker.line.handlers.segments import create_segments, delete_segments, update_segments
from worker.line.handlers.users import forget_users, register_users

__all__ = ["HANDLERS", "Context", "Handler", "command_of"]

Handler = Callable[[Context, list[Received]], Awaitable[None]]

HANDLERS: dict[str, Handler] = {
    "segment.create": create_segments,
    "segment.update": update_segments,
    "segment.delete": delete_segments,
    "user.register": register_users,
    "user.forget": forget_users,
    "membership.change": change_memberships,
    "report.request": request_reports,
}
"""Every command that changes state; in a round they are done in this order, which no outcome depends on."""
