"""How people connect to Kafka, and what they are told where it does not work: the reason, and the setting."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.shell import Shell
from tests.conftest import make_settings
from tests.support.certificates import authority
from tests.support.secured import PASSWORD, USER, Secured
from worker.errors import NotLetIn, Unavailable
from worker.kafka import clients as kafka
from worker.local.server import free_port
from worker.settings import Settings

SASL = {"kafka_sasl_username": USER, "kafka_sasl_password": PASSWORD}
WORKS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "plain": ("SASL", "SASL_PLAINTEXT", SASL),
    "scram 256": ("SASL", "SASL_PLAINTEXT", SASL | {"kafka_sasl_mechanism": "SCRAM-SHA-256"}),
    "scram 512": ("SASLTLS", "SASL_SSL", SASL | {"kafka_sasl_mechanism": "SCRAM-SHA-512"}),
    "tls": ("TLS", "SSL", {}),
}
REFUSED: dict[str, tuple[str, str, dict[str, Any], str]] = {
    "password": (
        "SASL",
        "SASL_PLAINTEXT",
        SASL | {"kafka_sasl_password": "wrong"},
        "refuses the user 'ada' by PLAIN: check SEGMENTATION_KAFKA_SASL_USERNAME, SEGMENTATION_KAFKA_SASL_PASSWORD",
    ),
    "scram password": (
        "SASLTLS",
        "SASL_SSL",
        SASL | {"kafka_sasl_mechanism": "SCRAM-SHA-256", "kafka_sasl_password": "wrong"},
        "refuses the user 'ada' by SCRAM-SHA-256",
    ),
    "mechanism": (
        "OAUTH",
        "SASL_PLAINTEXT",
        SASL,
        "does not offer PLAIN: set SEGMENTATION_KAFKA_SASL_MECHANISM to one of OAUTHBEARER",
    ),
    "plain to tls": ("TLS", "PLAINTEXT", {}, "speaks TLS there: set SEGMENTATION_KAFKA_SECURITY_PROTOCOL to SSL"),
    "plain to mtls": ("MTLS", "PLAINTEXT", {}, "speaks TLS there: set SEGMENTATION_KAFKA_SECURITY_PROTOCOL to SSL"),
    "tls to plain": ("PLAIN", "SSL", {}, "no TLS there: set SEGMENTATION_KAFKA_SECURITY_PROTOCOL to PLAINTEXT"),
    "sasl to tls": ("SASLTLS", "SASL_PLAINTEXT", SASL, "speaks TLS there: set .*_SECURITY_PROTOCOL to SASL_SSL"),
    "sasl to tls alone": ("TLS", "SASL_SSL", SASL, "takes no SASL there: set .*_SECURITY_PROTOCOL to SSL"),
    "sasl to plain": ("PLAIN", "SASL_PLAINTEXT", SASL, "takes no SASL there: set .*_PROTOCOL to PLAINTEXT"),
    "plain to sasl": ("SASL", "PLAINTEXT", {}, r"demands SASL \(.*PLAIN.*\): set .*_PROTOCOL to SASL_PLAINTEXT"),
    "tls to sasl": ("SASLTLS", "SSL", {}, r"demands SASL \(.*\): set .*_PROTOCOL to SASL_SSL"),
    "no client certificate": ("MTLS", "SSL", {}, "demand a client certificate: set SEGMENTATION_KAFKA_SSL_CERTFILE"),
}


def _settings(broker: Secured, listener: str, protocol: str, **others: Any) -> Settings:
    values: dict[str, Any] = {"kafka_security_protocol": protocol, "kafka_seconds_max": 5}
    if protocol.endswith("SSL"):
        values["kafka_ssl_cafile"] = str(broker.signer.cafile)
    servers = broker.bootstrap_servers if listener == "PLAIN" else broker.servers(listener)
    servers = others.pop("servers", servers)
    return make_settings(servers, "postgresql://localhost/none", **values | others)


async def _talk(settings: Settings) -> str:
    async with kafka.admin(settings) as client:
        return str((await client.describe_cluster())["cluster_id"])


@pytest.mark.parametrize("way", WORKS)
async def test_what_works(broker: Secured, way: str) -> None:
    listener, protocol, others = WORKS[way]
    assert await _talk(_settings(broker, listener, protocol, **others))


@pytest.mark.parametrize("way", REFUSED)
async def test_what_does_not_work_is_told(broker: Secured, way: str) -> None:
    listener, protocol, others, reason = REFUSED[way]
    settings = _settings(broker, listener, protocol, **others)
    with pytest.raises(NotLetIn, match=reason) as raised:
        await _talk(settings)
    assert str(raised.value).startswith(f"Kafka at {settings.kafka_bootstrap_servers}")
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize("passphrase", [None, "a passphrase"])
async def test_a_client_certificate(broker: Secured, passphrase: str | None) -> None:
    certfile, keyfile = broker.signer.issue("client", passphrase=passphrase)
    files = {"kafka_ssl_certfile": str(certfile), "kafka_ssl_keyfile": str(keyfile)}
    assert await _talk(_settings(broker, "MTLS", "SSL", kafka_ssl_key_password=passphrase, **files))


async def test_a_client_certificate_of_another_authority(broker: Secured, tmp_path: Path) -> None:
    certfile, keyfile = authority(tmp_path).issue("client")
    files = {"kafka_ssl_certfile": str(certfile), "kafka_ssl_keyfile": str(keyfile)}
    with pytest.raises(NotLetIn, match="does not accept the certificate of SEGMENTATION_KAFKA_SSL_CERTFILE"):
        await _talk(_settings(broker, "MTLS", "SSL", **files))


async def test_an_authority_that_is_not_trusted(broker: Secured, tmp_path: Path) -> None:
    with pytest.raises(NotLetIn, match=r"not trusted here .* set SEGMENTATION_KAFKA_SSL_CAFILE"):
        await _talk(_settings(broker, "TLS", "SSL", kafka_ssl_cafile=str(authority(tmp_path).cafile)))


async def test_a_certificate_for_another_name(broker: Secured) -> None:
    settings = _settings(broker, "TLS", "SSL", servers=f"127.0.0.1:{broker.ports['TLS']}")
    with pytest.raises(NotLetIn, match="has a certificate for another name"):
        await _talk(settings)


async def test_an_advertised_address_that_is_out_of_reach(broker: Secured) -> None:
    """The bootstrap server answers, and names the broker by an address of its own network."""
    with pytest.raises(Unavailable, match=rf"lets us in, but .*localhost:{broker.nowhere}: nothing listens there"):
        await _talk(_settings(broker, "ELSEWHERE", "PLAINTEXT"))


async def test_nobody_is_there() -> None:
    """Not yet, perhaps: a worker waits for it."""
    for server, reason in (
        (f"127.0.0.1:{free_port()}", "nothing listens there"),
        ("no.such.host.invalid:1", "resolve"),
    ):
        with pytest.raises(Unavailable, match=reason) as raised:
            await _talk(make_settings(server, "postgresql://localhost/none"))
        assert not isinstance(raised.value, NotLetIn)


async def test_something_else_listens_there(broker: Secured) -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(Unavailable, match="does not answer as Kafka does"):
            await _talk(_settings(broker, "PLAIN", "PLAINTEXT", servers=f"127.0.0.1:{port}"))


async def test_every_command_tells_it(broker: Secured, database_url: str) -> None:
    settings = _settings(broker, "SASL", "SASL_PLAINTEXT", **SASL)
    shell = Shell.of(settings).having(SEGMENTATION_DATABASE_URL=database_url, SEGMENTATION_KAFKA_SASL_PASSWORD="wrong")
    send = ("send", "user.register", '{"user_id": "ada"}')
    commands = [("run",), ("topics",), send, ("query", "ada"), ("doctor",), ("watch",)]
    for done in await asyncio.gather(*(shell.run(*command) for command in commands)):
        said = done.err + done.out
        assert done.code == 1, said
        assert "refuses the user 'ada' by PLAIN" in said
        assert "Traceback" not in said
        assert "Unable" not in said
