"""PostgreSQL sessions with our limits; statements are files in `sql/`."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

import asyncpg
from asyncpg import Record
from asyncpg.pgproto import pgproto

from worker.errors import (
    CommitUnknown,
    Denied,
    Refused,
    Slow,
    Strained,
    Unavailable,
    Unclear,
    WorkerError,
)
from worker.postgres.connect import TRANSACTION_IDLE_SECONDS, Connection, Connector, is_unkept, unkept
from worker.postgres.statements import statement
from worker.postgres.trust import Trust
from worker.settings import Settings

__all__ = ["Database", "DriverError", "FastUUID", "Record", "Session", "statement"]

DriverError = asyncpg.PostgresError
"""Whatever the server may answer, beside what sessions translate."""
FastUUID = pgproto.UUID
"""A uuid.UUID that is built in C, several times faster."""
CLOSE_SECONDS_MAX = CANCEL_SECONDS_MAX = 2.0
TRANSACTION_IDLE_SECONDS_MAX = 10
_STRAINED = (
    asyncpg.TransactionRollbackError,
    asyncpg.LockNotAvailableError,
    asyncpg.InsufficientResourcesError,
    asyncpg.PostgresSystemError,
    asyncpg.QueryCanceledError,
)
_PASSING = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InvalidTransactionStateError,
    OSError,
)
_DATA = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.PLPGSQLError,
    asyncpg.ProgramLimitExceededError,
)
_SETUP = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.UndefinedTableError,
)
_UNLIKE_SCHEMA = (
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedColumnError,
    asyncpg.UndefinedFunctionError,
    asyncpg.UndefinedObjectError,
    asyncpg.InvalidSchemaNameError,
)
_KINDS: tuple[tuple[Any, type[WorkerError], bool], ...] = (
    (_STRAINED, Strained, False),
    (TimeoutError, Slow, False),
    (_PASSING, Unavailable, True),
    (_DATA, Refused, False),
    (_SETUP, Denied, False),
    (asyncpg.PostgresError, Unclear, False),
    (ValueError, Refused, False),  # the driver can't put the data into the protocol's form
    # what the server says to an idle session, such as its end, can confuse the driver's next statement
    ((asyncpg.InternalClientError, asyncpg.InterfaceError), Unavailable, True),
)
"""What errors are, by the first that fits, and whether the session is over. What no list names is unclear."""


class Database:
    """Where to connect; opens sessions."""

    def __init__(self, settings: Settings) -> None:
        self._connector = Connector(settings.database_url.get_secret_value())
        self._statement_seconds_max = settings.statement_seconds_max
        self.address = self._connector.address
        self._trust = Trust(settings.clock_step_seconds_max)

    def session(
        self, name: str, beat: Callable[[], None] = lambda: None, *, statement_seconds_max: float | None = None
    ) -> Session:
        """A session that is not yet open; `name` shows in pg_stat_activity, `beat` is called at each statement."""
        seconds_max = statement_seconds_max or self._statement_seconds_max
        return Session(self._connector, name, seconds_max, beat, self._trust)


class Session:
    """One connection, opened when first used and again after it broke. For one task at a time."""

    def __init__(
        self,
        connector: Connector,
        name: str,
        statement_seconds_max: float,
        beat: Callable[[], None],
        trust: Trust,
    ) -> None:
        self._connector, self._address, self._name = connector, connector.address, name
        self._statement_seconds_max, self._beat = statement_seconds_max, beat
        self._connection: Connection | None = None
        self._pinned = self._in_transaction = False
        self._idle_seconds = TRANSACTION_IDLE_SECONDS
        self.trust = trust

    async def pin(self, idle_seconds_max: int) -> None:
        """This connection or none from now on, as it holds a lock; the server ends it when it is idle for so long."""
        self._pinned = True
        await self.fetch("session_idle_timeout", f"{idle_seconds_max}s")

    async def open(self) -> None:
        """Connect if there is no live connection; raises Unavailable, or ConfigurationError for a refusal."""
        if self.is_open():
            return
        if self._pinned:
            raise Unavailable(f"PostgreSQL at {self._address}: the session that held the lock has ended")
        if self._in_transaction:  # on another connection the rest of it would be committed by itself
            raise Unavailable(f"PostgreSQL at {self._address}: the session has ended in a transaction")
        self.drop()
        self._connection = await self._connector.connect(self._name, self._statement_seconds_max)
        if self._idle_seconds > TRANSACTION_IDLE_SECONDS:
            await self.fetch("session_transaction_idle_timeout", f"{self._idle_seconds}s")

    async def fetch(self, name: str, *arguments: Any) -> list[Record]:
        """Run `sql/<name>.sql`; its first line says what comes back."""
        connection = await self._live()
        try:
            with self._translated():
                return await connection.fetch(statement(name), *arguments)
        except Slow:
            await self._cancel(connection)
            raise

    async def row(self, name: str, *arguments: Any) -> Record:
        """The one row that `sql/<name>.sql` returns."""
        rows = await self.fetch(name, *arguments)
        if len(rows) != 1:
            raise AssertionError(f"{name}.sql returned {len(rows)} rows instead of one")
        return rows[0]

    async def copy(
        self,
        name: str,
        *arguments: Any,
        output: Callable[[bytes], Coroutine[Any, Any, None]],
        separator: str,
        seconds_max: float,
    ) -> int:
        """Write what `sql/<name>.sql` returns as CSV with a header, in pieces to `output`; returns the rows written.

        No piece is read before `output` has taken the one before it. What `output` raises ends the session.
        """
        connection = await self._live()
        try:
            with self._translated():
                status = await connection.copy_from_query(
                    statement(name),
                    *arguments,
                    output=output,
                    timeout=seconds_max,
                    format="csv",
                    delimiter=separator,
                    header=True,
                )
        except BaseException:
            self.drop()
            raise
        return int(status.removeprefix("COPY "))

    @contextlib.asynccontextmanager
    async def transaction(self, *, is_snapshot: bool = False, is_kept: bool = True) -> AsyncIterator[None]:
        """One transaction; raises CommitUnknown where the connection broke in COMMIT, so nobody knows the outcome.

        With `is_snapshot` it only reads, and its statements see the same state; without `is_kept` it leaves nothing.
        """
        connection = await self._live()
        transaction = connection.transaction(isolation="repeatable_read" if is_snapshot else None, readonly=is_snapshot)
        try:
            with self._translated():
                await transaction.start()
        except Slow:
            self.drop()
            raise
        self._in_transaction = True
        try:
            yield
        except BaseException:
            if connection.is_closed():
                # perhaps it was silent for too long, as a busy event loop is: it gets more time, until it commits
                self._idle_seconds = min(2 * self._idle_seconds, TRANSACTION_IDLE_SECONDS_MAX)
            await self._rollback(transaction)
            raise
        finally:
            self._in_transaction = False
        if not is_kept:
            await self._rollback(transaction)
            return
        try:
            with self._translated():
                await transaction.commit()
            self._idle_seconds = TRANSACTION_IDLE_SECONDS
        except Unavailable as error:
            self.drop()
            if not is_snapshot:  # what only reads has read it all
                raise CommitUnknown(str(error)) from error

    async def close(self) -> None:
        """Close the connection properly if that is possible within the limit."""
        connection, self._connection = self._connection, None
        if connection is None or connection.is_closed():
            return
        try:
            await connection.close(timeout=CLOSE_SECONDS_MAX)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
            connection.terminate()

    def is_open(self) -> bool:
        """Whether the connection stands, as far as this side knows."""
        return self._connection is not None and not self._connection.is_closed()

    async def abandon(self) -> None:
        """Drop it after the task that used it was cancelled, perhaps in a statement."""
        if self._connection is not None:
            await self._cancel(self._connection)

    def drop(self) -> None:
        """Cut the connection; the server rolls back what was open."""
        connection, self._connection = self._connection, None
        self._pinned = False
        if connection is not None:
            connection.terminate()

    async def _live(self) -> Connection:
        self._beat()
        await self.open()
        assert self._connection is not None  # open() raises otherwise
        return self._connection

    async def _cancel(self, connection: Connection) -> None:
        """Have the server end a statement that takes too long before the session goes: it would keep its locks."""
        with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            await connection.fetch(statement("session_ping"), timeout=CANCEL_SECONDS_MAX)
        self.drop()

    async def _rollback(self, transaction: asyncpg.transaction.Transaction) -> None:
        try:
            await transaction.rollback()
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
            self.drop()

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (asyncpg.PostgresError, asyncpg.InternalClientError, asyncpg.InterfaceError, OSError) as error:
            if is_unkept(error):
                raise Denied(unkept(self._address)) from error
            if isinstance(error, asyncpg.InterfaceError) and not isinstance(error, ValueError) and self.is_open():
                raise
            kind, is_over = next((kind, is_over) for types, kind, is_over in _KINDS if isinstance(error, types))
            if is_over:
                self.drop()
            if kind is Refused:
                raise Refused(str(error)) from error
            raise kind(f"PostgreSQL at {self._address}: {_sentence(error)}") from error


def _sentence(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "a statement took longer than its limit"
    if isinstance(error, asyncpg.InsufficientPrivilegeError):
        return f"{error}; deploy/roles.sql grants what a worker needs, and `segmentation doctor` names what is missing"
    if isinstance(error, _UNLIKE_SCHEMA):
        return (
            f"{error}: the schema is missing or older than this version, or not in the search_path; run "
            "`segmentation migrate`"
        )
    return str(error) or type(error).__name__
