"""Connection strings against real servers: TLS, a socket, several hosts of which one is the primary, a pooler."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import asyncpg
import pytest
from pydantic import SecretStr

from tests.conftest import make_settings
from tests.services import Provided
from tests.support.events import active, rows
from tests.support.line import line, working
from tests.support.postgres import Configured, Secured, Standby, folder, pgbouncer
from worker.errors import ConfigurationError, Unavailable
from worker.local.guarded import guarded
from worker.local.postgres import SUPERUSER
from worker.postgres import migrations
from worker.postgres.connect import Connector
from worker.postgres.session import Database, Session
from worker.settings import Settings


@pytest.fixture(scope="module")
async def secured() -> AsyncIterator[tuple[int, Path]]:
    """The port and the folder of a server that wants TLS; its socket is in the folder, too."""
    with folder() as directory:
        files = {f"ssl_{name}_file": f"{directory}/{file}" for name, file in FILES.items()}
        async with guarded() as guard:
            server = Secured(guard, directory, ssl="on", unix_socket_directories=str(directory), **files)
            await server.launch()
            connection = await asyncpg.connect(
                host=str(directory), port=server.port, user=SUPERUSER, database="postgres"
            )
            await connection.execute("create role by_certificate login")
            await connection.close()
            yield server.port, directory


FILES = {"ca": "ca.crt", "cert": "server.crt", "key": "server.key"}
CLIENT = "sslmode=verify-full&sslcert={0}/client.crt&sslkey={0}/client.key&sslrootcert={0}/ca.crt"


@pytest.mark.parametrize(
    ("user", "query"),
    [
        (SUPERUSER, "sslmode=require"),
        (SUPERUSER, "sslmode=prefer"),
        (SUPERUSER, "sslmode=allow"),
        (SUPERUSER, "ssl=true"),
        (SUPERUSER, "sslmode=verify-ca&sslrootcert={0}/ca.crt"),
        (SUPERUSER, "sslmode=verify-full&sslrootcert={0}/ca.crt&ssl_min_protocol_version=TLSv1.3"),
        ("by_certificate", CLIENT + "&sslpassword=sesame"),
    ],
)
async def test_tls(secured: tuple[int, Path], user: str, query: str) -> None:
    port, directory = secured
    connector = Connector(f"postgresql://{user}@localhost:{port}/postgres?{query.format(directory)}")
    connection = await connector.connect("test", 10)
    row = await connection.fetchrow("select ssl, current_user as who from pg_stat_ssl where pid = pg_backend_pid()")
    await connection.close()
    assert row is not None
    assert dict(row) == {"ssl": True, "who": user}


@pytest.mark.parametrize(
    ("host", "query", "part"),
    [
        ("localhost", "sslmode=disable", "no encryption"),
        ("localhost", "sslmode=verify-full&sslrootcert={0}/other.crt", "sslrootcert must name the authority"),
        ("127.0.0.1", "sslmode=verify-full&sslrootcert={0}/ca.crt", "must be for 127.0.0.1"),
        ("localhost", CLIENT + "&sslpassword=wrong", "needs the right sslpassword"),
        ("localhost", CLIENT.replace("client.key", "server.key"), "is not the key of the certificate"),
        ("localhost", "sslmode=require&user=by_certificate", "valid client certificate"),
    ],
)
async def test_what_tls_refuses_is_told(secured: tuple[int, Path], host: str, query: str, part: str) -> None:
    port, directory = secured
    connector = Connector(f"postgresql://{host}:{port}/postgres?user={SUPERUSER}&{query.format(directory)}")
    with pytest.raises(ConfigurationError, match=part) as raised:
        await connector.connect("test", 10)
    assert "\n" not in str(raised.value)


async def test_a_server_without_tls_is_told(services: Provided) -> None:
    with pytest.raises(ConfigurationError, match="offers no TLS, which sslmode=require needs"):
        await Connector(f"{services.database_url}?sslmode=require").connect("test", 10)


async def test_a_socket(secured: tuple[int, Path]) -> None:
    port, directory = secured
    connector = Connector(f"postgresql:///postgres?host={directory}&port={port}&user={SUPERUSER}&sslmode=require")
    connection = await connector.connect("test", 10)
    assert await connection.fetchval("select inet_server_addr()") is None
    await connection.close()
    nobody = Connector(f"postgresql:///postgres?host={directory}&port=1&user={SUPERUSER}")
    with pytest.raises(Unavailable, match=rf"PostgreSQL at {directory}/.s.PGSQL.1: there is no such socket"):
        await nobody.connect("test", 10)


async def test_a_providers_url_migrates_and_works(services: Provided, database_url: str, template: str) -> None:
    """In the schema that `options` names, and with what programs before this one were given."""
    query = (
        "sslmode=prefer&application_name=shop&connect_timeout=5&channel_binding=prefer&target_session_attrs=read-write"
        f"&keepalives_idle=30&tcp_user_timeout=10000&options={quote('-c search_path=own')}"
    )
    await rows(make_settings("localhost:1", database_url), "create schema own")
    settings = make_settings(services.kafka_bootstrap_servers, f"{database_url}?{query}")
    assert await migrations.pending(settings) == await migrations.upgrade(settings)
    await migrations.check(settings)
    session = Database(settings).session("test")
    await session.fetch("users_register", ["ada"], await _now(session))
    await session.close()
    outside = make_settings("localhost:1", database_url)
    assert await rows(outside, "select user_id from own.users") == [{"user_id": "ada"}]
    assert await rows(outside, "select from public.users") == []


async def _now(session: Session) -> object:
    await session.open()
    assert session._connection is not None
    return await session._connection.fetchval("select now()")


async def test_the_primary_among_several_is_found_again() -> None:
    """A worker's session goes on with the server that took over, while the one before it is away, or follows."""
    with folder() as directory:
        async with guarded() as guard:
            first = Configured(guard, directory / "first")
            await first.launch()
            second = Standby(guard, directory / "second", first)
            await second.launch()
            hosts = f"127.0.0.1:1,127.0.0.1:{second.port},127.0.0.1:{first.port}"
            url = f"postgresql://{SUPERUSER}@{hosts}/postgres"
            session = Database(make_settings("localhost:1", f"{url}?target_session_attrs=primary")).session("test")
            assert not (await session.row("server_needs"))["is_read_only"]
            await _is_on(Connector(url), first.port)
            await _is_on(Connector(f"{url}?target_session_attrs=standby"), second.port)
            await first.kill()
            with pytest.raises(Unavailable):
                await session.row("server_needs")
            with pytest.raises(Unavailable, match=rf"{second.port}: is a standby.*{first.port}: connection refused"):
                await session.row("server_needs")
            await _promote(second.url())
            assert not (await session.row("server_needs"))["is_read_only"]
            await _is_on(Connector(url), second.port)
            await session.close()


async def _is_on(connector: Connector, port: int) -> None:
    connection = await connector.connect("test", 10)
    assert await connection.fetchval("select inet_server_port()") == port
    await connection.close()


async def _promote(url: str) -> None:
    connection = await asyncpg.connect(url)
    assert await connection.fetchval("select pg_promote()")
    await connection.close()


async def test_several_hosts_that_are_all_away_are_named() -> None:
    connector = Connector("postgresql://u@127.0.0.1:1,127.0.0.1:2/d")
    with pytest.raises(
        Unavailable, match=r"127.0.0.1:1: connection refused; PostgreSQL at 127.0.0.1:2: connection refu"
    ):
        await connector.connect("test", 10)


async def test_the_line_runs_behind_a_pooler_that_keeps_sessions(
    services: Provided, settings: Settings, topics: list[str]
) -> None:
    """Settings come by statement, so nothing has to be allowed in its configuration; and locks elect one leader."""
    async with pgbouncer(urlsplit(services.database_url).port or 5432, "session") as port:
        pooled = settings.model_copy(update={"database_url": SecretStr(_through(settings, port))})
        sessions = [Database(pooled).session(f"test {number}") for number in range(3)]
        leads = [(await session.row("election_try", 99))["leads"] for session in sessions]
        assert leads == [True, False, False]
        await asyncio.gather(*(session.close() for session in sessions))
        async with line(settings) as outside, working(pooled):
            await outside.ask("segment.create", {"segment": "all", "percent": 100})
            await outside.ask("user.register", {"user_id": "ada"})
            assert await active(settings, "ada") == ["all"]


async def test_a_pooler_that_does_not_is_refused(services: Provided, settings: Settings) -> None:
    async with pgbouncer(urlsplit(services.database_url).port or 5432, "transaction") as port:
        pooled = make_settings(settings.kafka_bootstrap_servers, _through(settings, port))
        for refused in (Database(pooled).session("test").open(), migrations.check(pooled)):
            with pytest.raises(ConfigurationError, match="pool_mode = session"):
                await refused


def _through(settings: Settings, port: int) -> str:
    return f"postgresql://any@127.0.0.1:{port}{urlsplit(settings.database_url.get_secret_value()).path}"


async def test_a_database_of_another_encoding_is_refused(services: Provided, settings: Settings) -> None:
    name = urlsplit(settings.database_url.get_secret_value()).path[1:] + "_latin"
    server = make_settings("localhost:1", services.database_url)
    await rows(server, f"create database {name} encoding 'LATIN1' locale 'C' template template0")
    latin = make_settings("localhost:1", f"{settings.database_url.get_secret_value()}_latin")
    for refused in (migrations.upgrade(latin), Database(latin).session("test").open()):
        with pytest.raises(ConfigurationError, match=f"{name}: the database's encoding is LATIN1, and must be UTF8"):
            await refused
    await rows(server, f"drop database {name} with (force)")
