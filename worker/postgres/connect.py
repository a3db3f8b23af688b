"""The one way to connect: every host in turn until one will do, then the settings of the session by a statement.

Settings are not given as start-up parameters, since connection poolers refuse those that they do not know.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Any, TypeAlias

import asyncpg
from asyncpg import Record

from worker.errors import ConfigurationError, Unavailable, WorkerError
from worker.postgres import passfile, tls
from worker.postgres.statements import statement
from worker.postgres.target import Host, target

Connection: TypeAlias = "asyncpg.Connection[Record]"

TRANSACTION_IDLE_SECONDS = 2
"""So long a healthy worker's event loop hardly ever takes from one statement of a transaction to the next."""
SESSION_SETTINGS = {
    # planned anew each time, for the real number of rows: batches of 1 and of 2,000 want different plans, and a plan
    # made while the tables were empty must not live on
    "plan_cache_mode": "force_custom_plan",
    "jit": "off",
    # statements rely on these, whatever the role, the database or the server has as its default
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "default_transaction_deferrable": "off",
    "synchronous_commit": "on",
    "standard_conforming_strings": "on",
    "row_security": "on",
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    # the driver ends a statement that takes too long; a report's COPY may take an hour
    "statement_timeout": "0",
    "transaction_timeout": "0",
    "idle_session_timeout": "0",
    # a process that is frozen, or cut off from the network, must not hold its locks for long; a session to which this
    # happens is given more (`Session.transaction`)
    "idle_in_transaction_session_timeout": f"{TRANSACTION_IDLE_SECONDS}s",
    "lock_timeout": "20s",
}
ENCODING = "UTF8"
PROBES = 3
_REFUSALS = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.UndefinedObjectError,
    asyncpg.InvalidParameterValueError,
    asyncpg.CantChangeRuntimeParamError,
    asyncpg.SyntaxOrAccessError,
)
_UNKEPT = (asyncpg.DuplicatePreparedStatementError, asyncpg.InvalidSQLStatementNameError)
"""What a session says whose statements were prepared in another server process than they are run in."""


class Connector:
    """Opens connections to one database; raises Unavailable, or ConfigurationError for what a person must change."""

    def __init__(self, text: str, settings: Mapping[str, str] = SESSION_SETTINGS) -> None:
        self._target = target(text, os.environ)
        self._settings = settings
        self._is_proxy_known = False
        self.address = self._target.address

    async def connect(self, name: str, command_seconds_max: float) -> Connection:
        """A connection to the first host that will do; `name` shows in pg_stat_activity."""
        failures: list[WorkerError] = []
        spare: Connection | None = None
        try:
            for host in self._target.in_order():
                try:
                    connection, facts = await self._open(host, name, command_seconds_max)
                except (Unavailable, ConfigurationError) as error:
                    failures.append(error)
                    if isinstance(error, Refusal):
                        break
                    continue
                problem = _problem(self._target.session_attributes, facts)
                if not problem:
                    return connection
                failures.append(Unavailable(f"PostgreSQL at {host}: {problem}"))
                if spare is None and self._target.session_attributes in ("any", "prefer-standby"):
                    spare = connection
                else:
                    connection.terminate()
            if spare is None:
                raise _all_of(failures)
            kept, spare = spare, None
            return kept
        finally:
            if spare is not None:
                spare.terminate()

    async def _open(self, host: Host, name: str, command_seconds_max: float) -> tuple[Connection, Record]:
        connection = await self._dial(host, name, command_seconds_max)
        try:
            facts = await self._begin(connection, host)
            _hold_encoding(facts["encoding"], self.address)
            if facts["pid"] != connection.get_server_pid() and not self._is_proxy_known:
                await self._hold_session_kept(connection, host)
                self._is_proxy_known = True
        except BaseException:
            connection.terminate()
            raise
        return connection, facts

    async def _dial(self, host: Host, name: str, command_seconds_max: float) -> Connection:
        password, unread = passfile.password(self._target, host)
        parameters = self._target.parameters
        program = parameters.get("application_name") or parameters.get("fallback_application_name") or "segmentation"
        startup = {"application_name": f"{program} {name}"}
        if "options" in parameters:
            startup["options"] = parameters["options"]
        arguments: dict[str, Any] = {
            **tls.arguments(self._target, host),
            "host": host.host,
            "port": host.port,
            "user": self._target.user,
            "password": password,
            "database": self._target.database,
            "krbsrvname": parameters.get("krbsrvname"),
            "gsslib": parameters.get("gsslib"),
            "target_session_attrs": "any",
            "timeout": self._target.connect_seconds_max,
            "command_timeout": command_seconds_max,
            "server_settings": startup,
            "max_cached_statement_lifetime": 0,
        }
        try:
            connection: Connection = await asyncpg.connect(**arguments)
        except asyncpg.InvalidAuthorizationSpecificationError as error:
            hint = unread or ("" if password else "no password was given, nor found in a password file")
            raise Refusal(f"PostgreSQL at {host}: {error}{hint and f' ({hint})'}") from error
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
            raise self._said(error, host) from error
        _keep_alive(connection, parameters)
        return connection

    async def _begin(self, connection: Connection, host: Host) -> Record:
        try:
            (facts,) = await connection.fetch(
                statement("session_begin"),
                list(self._settings),
                list(self._settings.values()),
                timeout=self._target.connect_seconds_max,
            )
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
            raise self._said(error, host) from error
        return facts

    async def _hold_session_kept(self, connection: Connection, host: Host) -> None:
        """A proxy stands before the server: raise Refusal if two sessions at once are served by one server process."""
        other = await self._dial(host, "probe", self._target.connect_seconds_max)
        try:
            for _ in range(PROBES):
                pids = [(await one.fetch(statement("session_pid")))[0]["pid"] for one in (connection, other)]
                if pids[0] == pids[1]:
                    raise Refusal(unkept(str(host)))
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
            raise self._said(error, host) from error
        finally:
            other.terminate()

    def _said(self, error: Exception, host: Host) -> WorkerError:
        if isinstance(error, _UNKEPT):
            return Refusal(unkept(str(host)))
        if isinstance(error, _REFUSALS) or "unsupported startup parameter" in str(error):
            return Refusal(f"PostgreSQL at {host}: {error}")
        if isinstance(error, asyncpg.ClientConfigurationError):
            return ConfigurationError(f"PostgreSQL at {host}: {error}")
        if isinstance(error, TimeoutError):
            return Unavailable(f"PostgreSQL at {host}: no answer within {self._target.connect_seconds_max:g} s")
        if isinstance(error, OSError):
            return tls.refused(error, self._target, host) or Unavailable(f"PostgreSQL at {host}: {_reason(error)}")
        return Unavailable(f"PostgreSQL at {host}: {error}")


class Refusal(ConfigurationError):
    """A server has answered, and refused: the other hosts are not asked, as with libpq."""


def unkept(address: str) -> str:
    """The sentence for a pooler that gives a session's statements to different server processes."""
    return (
        f"PostgreSQL at {address}: a connection pooler hands out server connections by transaction. Session locks, and "
        "so the whole worker, need a session of their own: use its session mode (PgBouncer: pool_mode = session), or "
        "connect directly"
    )


def is_unkept(error: BaseException) -> bool:
    """Whether a statement failed as it does behind such a pooler."""
    return isinstance(error, _UNKEPT)


def _hold_encoding(encoding: str, address: str) -> None:
    if encoding != ENCODING:
        raise Refusal(
            f"PostgreSQL at {address}: the database's encoding is {encoding}, and must be {ENCODING}: create one with "
            f"`create database … encoding '{ENCODING}' template template0`"
        )


def _problem(wanted: str, facts: Record) -> str:
    """Why this server is not the one that is looked for; empty if it is."""
    match wanted:
        case "standby" | "prefer-standby":
            return "" if facts["is_standby"] else "is no standby"
        case "read-only":
            return "" if facts["is_standby"] or facts["is_read_only"] else "is not read-only"
        case "read-write":
            return "is read-only" if facts["is_standby"] or facts["is_read_only"] else ""
        case _:  # without a wish, too, the primary is preferred: nothing could be written elsewhere
            return "is a standby, and so read-only" if facts["is_standby"] else ""


def _all_of(failures: list[WorkerError]) -> WorkerError:
    """One error for all hosts; if one of them may become well by itself, it is worth another try."""
    if isinstance(failures[-1], Refusal):
        return failures[-1]
    text = "; ".join(map(str, failures))
    may_pass = any(isinstance(failure, Unavailable) for failure in failures)
    return Unavailable(text) if may_pass else ConfigurationError(text)


def _reason(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, socket.gaierror):
        return f"its name can't be resolved ({error.strerror})"
    if isinstance(error, FileNotFoundError):
        return "there is no such socket"
    return error.strerror or str(error) or type(error).__name__


def _keep_alive(connection: Connection, parameters: Mapping[str, str]) -> None:
    """The TCP options that libpq knows, as far as the system does."""
    inside: Any = connection  # the driver shows its transport to nobody
    opened = inside._transport.get_extra_info("socket")
    if opened is None or opened.family not in (socket.AF_INET, socket.AF_INET6) or parameters.get("keepalives") == "0":
        return
    options = {
        "keepalives_idle": "TCP_KEEPIDLE",
        "keepalives_interval": "TCP_KEEPINTVL",
        "keepalives_count": "TCP_KEEPCNT",
        "tcp_user_timeout": "TCP_USER_TIMEOUT",
    }
    with socket.socket(fileno=os.dup(opened.fileno())) as same:  # an event loop's own socket may refuse options
        same.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, option in options.items():
            if int(parameters.get(name, 0)) > 0 and hasattr(socket, option):
                same.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), int(parameters[name]))
