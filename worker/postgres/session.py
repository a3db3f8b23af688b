"""PostgreSQL sessions with our limits. The only module that imports asyncpg; statements are files in `sql/`."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from importlib import resources
from typing import Any
from urllib.parse import urlsplit

import asyncpg
from asyncpg import Record
from asyncpg.pgproto import pgproto

from worker.errors import CommitUnknown, ConfigurationError, Hindered, Refused, Unavailable
from worker.settings import Settings

__all__ = ["Database", "DriverError", "FastUUID", "Record", "Session", "statement"]

DriverError = asyncpg.PostgresError
"""Whatever the server may answer, beside what sessions translate."""
FastUUID = pgproto.UUID
"""A uuid.UUID that is built in C, several times faster."""
CONNECT_SECONDS_MAX = 10.0
CLOSE_SECONDS_MAX = 2.0
SERVER_SETTINGS = {
    # planned anew each time, for the real number of rows: batches of 1 and of 2,000 want different plans, and a plan
    # made while the tables were empty must not live on
    "plan_cache_mode": "force_custom_plan",
    "jit": "off",
    "timezone": "UTC",
    # a process that is frozen, or cut off from the network, must not hold its locks for long
    "idle_in_transaction_session_timeout": "10s",
    "lock_timeout": "20s",
}
_HINDERED = (
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
    TimeoutError,
)
_DATA = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.RaiseError,
    asyncpg.ProgramLimitExceededError,
)
_SETUP = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.UndefinedTableError,
)


@functools.cache
def statement(name: str) -> str:
    """The text of `sql/<room>/<name>.sql`; no two rooms have a statement of the same name."""
    rooms = (room for room in (resources.files("worker") / "sql").iterdir() if room.is_dir())
    file = next((room / f"{name}.sql" for room in rooms if (room / f"{name}.sql").is_file()), None)
    if file is None:
        raise AssertionError(f"there is no statement {name}.sql in any folder of worker/sql")
    return file.read_text(encoding="utf-8")


class Database:
    """Where to connect; opens sessions."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.database_url.get_secret_value()
        self._statement_seconds_max = settings.statement_seconds_max
        parts = urlsplit(self._url)
        self.address = f"{parts.hostname or 'localhost'}:{parts.port or 5432}{parts.path}"

    def session(
        self, name: str, beat: Callable[[], None] = lambda: None, *, statement_seconds_max: float | None = None
    ) -> Session:
        """A session that is not yet open; `name` shows in pg_stat_activity, `beat` is called at each statement."""
        return Session(self._url, self.address, name, statement_seconds_max or self._statement_seconds_max, beat)


class Session:
    """One connection, opened when first used and again after it broke. For one task at a time."""

    def __init__(
        self, url: str, address: str, name: str, statement_seconds_max: float, beat: Callable[[], None]
    ) -> None:
        self._url, self._address, self._name = url, address, name
        self._statement_seconds_max, self._beat = statement_seconds_max, beat
        self._connection: asyncpg.Connection[Record] | None = None
        self._pinned = self._in_transaction = False

    async def pin(self, idle_seconds_max: int) -> None:
        """This connection or none from now on, as it holds a lock; the server ends it when it is idle for so long."""
        self._pinned = True
        await self.fetch("session_idle_timeout", f"{idle_seconds_max}s")

    async def open(self) -> None:
        """Connect if there is no live connection; raises Unavailable, or ConfigurationError for a refusal."""
        if self._connection is not None and not self._connection.is_closed():
            return
        if self._pinned:
            raise Unavailable(f"PostgreSQL at {self._address}: the session that held the lock has ended")
        if self._in_transaction:  # on another connection the rest of it would be committed by itself
            raise Unavailable(f"PostgreSQL at {self._address}: the session has ended in a transaction")
        self.drop()
        with self._translated():
            self._connection = await asyncpg.connect(
                self._url,
                timeout=CONNECT_SECONDS_MAX,
                command_timeout=self._statement_seconds_max,
                server_settings=SERVER_SETTINGS | {"application_name": f"segmentation {self._name}"},
                max_cached_statement_lifetime=0,
            )

    async def fetch(self, name: str, *arguments: Any) -> list[Record]:
        """Run `sql/<name>.sql`; its first line says what comes back."""
        connection = await self._live()
        with self._translated():
            return await connection.fetch(statement(name), *arguments)

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
    async def transaction(self, *, is_snapshot: bool = False) -> AsyncIterator[None]:
        """One transaction; raises CommitUnknown where the connection broke in COMMIT, so nobody knows the outcome.

        With `is_snapshot` it only reads, and all its statements see the same state.
        """
        connection = await self._live()
        transaction = connection.transaction(isolation="repeatable_read" if is_snapshot else None, readonly=is_snapshot)
        with self._translated():
            await transaction.start()
        self._in_transaction = True
        try:
            yield
        except BaseException:
            await self._rollback(transaction)
            raise
        finally:
            self._in_transaction = False
        try:
            with self._translated():
                await transaction.commit()
        except Unavailable as error:
            self.drop()
            if not is_snapshot:  # what only reads has read it all
                raise CommitUnknown(str(error)) from error

    async def close(self) -> None:
        """Say good-bye to the server as far as that goes within the limit."""
        connection, self._connection = self._connection, None
        if connection is None or connection.is_closed():
            return
        try:
            await connection.close(timeout=CLOSE_SECONDS_MAX)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
            connection.terminate()

    def drop(self) -> None:
        """Cut the connection; the server rolls back what was open."""
        connection, self._connection = self._connection, None
        self._pinned = False
        if connection is not None:
            connection.terminate()

    async def _live(self) -> asyncpg.Connection[Record]:
        self._beat()
        await self.open()
        assert self._connection is not None  # open() raises otherwise
        return self._connection

    async def _rollback(self, transaction: asyncpg.transaction.Transaction) -> None:
        try:
            await transaction.rollback()
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
            self.drop()

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except _HINDERED as error:
            raise Hindered(f"PostgreSQL at {self._address}: {str(error) or type(error).__name__}") from error
        except _PASSING as error:
            self.drop()
            raise Unavailable(f"PostgreSQL at {self._address}: {str(error) or type(error).__name__}") from error
        except _DATA as error:
            raise Refused(str(error)) from error
        except _SETUP as error:
            raise ConfigurationError(f"PostgreSQL at {self._address}: {error}") from error
        except asyncpg.InternalClientError as error:
            # what the server says to an idle session, such as its end, can confuse the driver's next statement
            self.drop()
            raise Unavailable(f"PostgreSQL at {self._address}: {error}") from error
        except asyncpg.InterfaceError as error:
            if self._connection is not None and not self._connection.is_closed():
                raise
            self.drop()
            raise Unavailable(f"PostgreSQL at {self._address}: {error}") from error
