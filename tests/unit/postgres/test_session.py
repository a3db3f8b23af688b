"""What PostgreSQL and asyncpg say, in our words: weather, the data's own fault, or a wrong setting."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from worker.errors import Denied, Refused, Slow, Strained, Unavailable, Unclear, WorkerError
from worker.postgres.session import Database, Session
from worker.settings import Settings


class Connection:
    """What the session asks of one."""

    def __init__(self, *, is_closed: bool = False) -> None:
        self._is_closed = is_closed
        self.is_terminated = False

    def is_closed(self) -> bool:
        return self._is_closed or self.is_terminated

    def terminate(self) -> None:
        self.is_terminated = True


def session(connection: Any) -> Session:
    made = Database(Settings(database_url="postgresql://u:hunter2@db.example/x")).session("test")
    made._connection = connection
    return made


SAID = [
    (asyncpg.ConnectionDoesNotExistError("gone"), Unavailable, True),
    (asyncpg.CannotConnectNowError("starting up"), Unavailable, True),
    (asyncpg.TooManyConnectionsError("full"), Strained, False),
    (asyncpg.DiskFullError("full"), Strained, False),
    (asyncpg.AdminShutdownError("bye"), Unavailable, True),
    (asyncpg.QueryCanceledError("too long"), Strained, False),
    (asyncpg.ReadOnlySQLTransactionError("a replica"), Unavailable, True),
    (asyncpg.IdleInTransactionSessionTimeoutError("asleep"), Unavailable, True),
    (ConnectionRefusedError("refused"), Unavailable, True),
    (TimeoutError(), Slow, False),
    (asyncpg.DeadlockDetectedError("deadlock"), Strained, False),
    (asyncpg.SerializationError("once more"), Strained, False),
    (asyncpg.LockNotAvailableError("locked"), Strained, False),
    (asyncpg.CheckViolationError("no"), Refused, False),
    (asyncpg.UniqueViolationError("twice"), Refused, False),
    (asyncpg.InvalidTextRepresentationError("no number"), Refused, False),
    (asyncpg.NumericValueOutOfRangeError("too much"), Refused, False),
    (asyncpg.RaiseError("a trigger"), Refused, False),
    (asyncpg.ProgramLimitExceededError("too large"), Refused, False),
    (asyncpg.InvalidPasswordError("who?"), Denied, False),
    (asyncpg.InvalidCatalogNameError("which?"), Denied, False),
    (asyncpg.InsufficientPrivilegeError("not you"), Denied, False),
    (asyncpg.UndefinedTableError("not migrated"), Denied, False),
    (asyncpg.PostgresSyntaxError("whose?"), Unclear, False),
    (asyncpg.UndefinedColumnError("whose?"), Unclear, False),
    (asyncpg.FeatureNotSupportedError("whose?"), Unclear, False),
    (asyncpg.InternalServerError("whose?"), Unclear, False),
    (asyncpg.PostgresError("of an SQLSTATE that nobody knows"), Unclear, False),
    (asyncpg.exceptions._base.DataError("invalid input for query argument $1"), Refused, False),
]


@pytest.mark.parametrize(("error", "becomes", "is_dropped"), SAID, ids=lambda item: type(item).__name__)
def test_errors_are_translated(error: Exception, becomes: type[WorkerError], is_dropped: bool) -> None:
    """A connection that may be broken is dropped; one whose transaction alone failed is kept."""
    connection = Connection()
    with pytest.raises(WorkerError) as raised, session(connection)._translated():
        raise error
    assert type(raised.value) is becomes
    assert raised.value.__cause__ is error
    assert str(error) in str(raised.value)
    assert str(raised.value)
    assert connection.is_terminated is is_dropped


def test_bugs_stay_bugs() -> None:
    with pytest.raises(KeyError), session(Connection())._translated():
        raise KeyError


def test_the_drivers_own_complaint_is_a_bug_on_a_live_connection() -> None:
    with pytest.raises(asyncpg.InterfaceError), session(Connection())._translated():
        raise asyncpg.InterfaceError("another operation is in progress")


def test_the_drivers_own_complaint_is_weather_on_a_closed_one() -> None:
    with pytest.raises(Unavailable), session(Connection(is_closed=True))._translated():
        raise asyncpg.InterfaceError("connection is closed")


def test_messages_tell_the_place_and_no_password() -> None:
    with pytest.raises(Unavailable) as raised, session(Connection())._translated():
        raise TimeoutError
    assert str(raised.value) == "PostgreSQL at db.example:5432/x: a statement took longer than its limit"


@pytest.mark.parametrize(
    "kind",
    [
        asyncpg.UndefinedTableError,
        asyncpg.UndefinedColumnError,
        asyncpg.UndefinedFunctionError,
        asyncpg.UndefinedObjectError,
    ],
)
def test_a_schema_that_lacks_something_names_its_remedy(kind: type[asyncpg.PostgresError]) -> None:
    said = r"it does not exist: the schema is missing .* `segmentation migrate`"
    with pytest.raises(WorkerError, match=said), session(Connection())._translated():
        raise kind("it does not exist")


def test_a_dropped_session_holds_no_connection() -> None:
    connection = Connection()
    dropped = session(connection)
    dropped.drop()
    assert connection.is_terminated
    assert dropped._connection is None
    dropped.drop()
