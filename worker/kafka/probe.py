"""Why no client gets through to Kafka: looks again, step by step, where aiokafka only says that it could not.

Address, port, TLS, SASL, and the addresses by which the brokers name themselves. Used after a failure alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from typing import NamedTuple

from aiokafka.conn import AIOKafkaConnection, collect_hosts
from aiokafka.errors import KafkaError, SaslAuthenticationFailed
from aiokafka.protocol.metadata import MetadataRequest

from worker.errors import NotLetIn, Unavailable
from worker.kafka import security, words
from worker.kafka.oauth import Tokens
from worker.settings import ENV_PREFIX, Settings

STEP_SECONDS_MAX = 4.0
"""Longest wait for one answer; a server that takes longer says nothing."""
ANSWER_BYTES_MAX = 1024 * 1024
API_VERSIONS, SASL_HANDSHAKE = 18, 17
UNSUPPORTED_MECHANISM, NO_SASL_HERE = 33, 34
"""Kafka's error codes for the answers to a handshake."""
PROTOCOL, MECHANISM = f"{ENV_PREFIX}KAFKA_SECURITY_PROTOCOL", f"{ENV_PREFIX}KAFKA_SASL_MECHANISM"
CAFILE, CERTFILE = f"{ENV_PREFIX}KAFKA_SSL_CAFILE", f"{ENV_PREFIX}KAFKA_SSL_CERTFILE"
NAME_MISMATCHES = (62, 64)
"""OpenSSL's codes for a certificate that is another host's, or another address's."""


class Place(NamedTuple):
    """A broker's address."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"Kafka at [{self.host}]:{self.port}" if ":" in self.host else f"Kafka at {self.host}:{self.port}"


class Line:
    """A connection to a broker, by which single requests of the oldest versions are sent."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def versions(self) -> None:
        """Ask what every broker tells everybody; raises what the connection does."""
        await self._ask(API_VERSIONS, 0, b"")

    async def handshake(self, mechanism: str) -> tuple[int, list[str]]:
        """Ask for a SASL mechanism: an error code, and the mechanisms that there are."""
        name = mechanism.encode()
        answer = await self._ask(SASL_HANDSHAKE, 1, struct.pack(">h", len(name)) + name)
        code, count = struct.unpack_from(">hi", answer)
        found, at = [], 6
        for _ in range(count):
            (length,) = struct.unpack_from(">h", answer, at)
            found.append(answer[at + 2 : at + 2 + length].decode())
            at += 2 + length
        return code, found

    async def _ask(self, key: int, version: int, body: bytes) -> bytes:
        request = struct.pack(">hhih", key, version, 1, -1) + body
        self._writer.write(struct.pack(">i", len(request)) + request)
        await self._writer.drain()
        size, correlation = struct.unpack(">ii", await self._reader.readexactly(8))
        if correlation != 1 or not 4 <= size <= ANSWER_BYTES_MAX:
            raise ConnectionError("it does not speak Kafka's protocol")
        return await self._reader.readexactly(size - 4)


async def explain(settings: Settings) -> Unavailable | None:
    """The reason, NotLetIn if only a person can mend it; None if a client would get through now."""
    reason = None
    for host, port, _ in collect_hosts(settings.kafka_bootstrap_servers, randomize=False):
        try:
            await _look(settings, Place(host, port))
        except NotLetIn as error:
            return error
        except Unavailable as error:
            reason = reason or error
        else:
            return None
    return reason


async def _look(settings: Settings, place: Place) -> None:
    """Raises what keeps clients out at this broker."""
    await _reach(place)
    trust = security.context(settings) if settings.kafka_security_protocol.endswith("SSL") else None
    async with _greeted(settings, place, trust) as line:
        await _shake_hands(settings, place, line)
    brokers = await _log_in(settings, place)
    for broker in brokers:
        try:
            await _reach(broker)
        except Unavailable as error:
            raise Unavailable(
                f"{place} lets us in, but names another broker by an address that can't be used from here: {error}. "
                "The brokers' advertised.listeners must be reachable from here"
            ) from error


async def _reach(place: Place) -> None:
    """Whether something listens there."""
    try:
        async with asyncio.timeout(STEP_SECONDS_MAX), _open(place, None):
            pass
    except socket.gaierror as error:
        raise Unavailable(f"{place}: the name can't be resolved ({error.strerror})") from error
    except ConnectionRefusedError as error:
        raise Unavailable(f"{place}: nothing listens there (connection refused)") from error
    except TimeoutError as error:
        raise Unavailable(
            f"{place}: no answer within {STEP_SECONDS_MAX:g} s; a firewall, or a wrong address"
        ) from error
    except OSError as error:  # also of several addresses, each refused
        refused = "Connect call failed" in str(error)
        raise Unavailable(f"{place}: {'nothing listens there (connection refused)' if refused else error}") from error


@contextlib.asynccontextmanager
async def _greeted(settings: Settings, place: Place, trust: ssl.SSLContext | None) -> AsyncIterator[Line]:
    """A line over which the broker has told its versions, so TLS is as both want it."""
    async with contextlib.AsyncExitStack() as stack:
        try:
            async with asyncio.timeout(STEP_SECONDS_MAX):
                line = await stack.enter_async_context(_open(place, trust))
                await line.versions()
        except ssl.SSLCertVerificationError as error:
            raise NotLetIn(_untrusted(place, error)) from error
        except (OSError, EOFError, TimeoutError) as error:
            raise await _ungreeted(settings, place, trust, error) from error
        yield line


async def _ungreeted(
    settings: Settings, place: Place, trust: ssl.SSLContext | None, error: BaseException
) -> Unavailable:
    sasl = settings.kafka_security_protocol.startswith("SASL")
    if trust is None:
        if await _speaks_tls(place):
            other = "SASL_SSL" if sasl else "SSL"
            return NotLetIn(f"{place} speaks TLS there: set {PROTOCOL} to {other}, or use a port without TLS")
        return Unavailable(f"{place} does not answer as Kafka does: {words.of(error)}")
    if await _speaks_plainly(place):
        other = "SASL_PLAINTEXT" if sasl else "PLAINTEXT"
        return NotLetIn(f"{place} speaks no TLS there: set {PROTOCOL} to {other}, or use a port with TLS")
    if settings.kafka_ssl_certfile and "ALERT" in str(error):
        return NotLetIn(f"{place} does not accept the certificate of {CERTFILE}: {words.of(error)}")
    if not settings.kafka_ssl_certfile and not isinstance(error, TimeoutError):
        return NotLetIn(
            f"{place} ends the connection after TLS was agreed on, as brokers do that demand a client certificate: set "
            f"{CERTFILE} and {ENV_PREFIX}KAFKA_SSL_KEYFILE ({words.of(error)})"
        )
    return Unavailable(f"{place}: TLS fails: {words.of(error)}")


def _untrusted(place: Place, error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code in NAME_MISMATCHES:
        return (
            f"{place} has a certificate for another name ({error.verify_message}): name it in "
            f"{ENV_PREFIX}KAFKA_BOOTSTRAP_SERVERS, and in the brokers' advertised.listeners, as its certificate does"
        )
    return (
        f"{place} has a certificate that is not trusted here ({error.verify_message}): set {CAFILE} to the PEM file "
        "of the authority that issued it"
    )


async def _speaks_tls(place: Place) -> bool:
    anybody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
    try:
        async with asyncio.timeout(STEP_SECONDS_MAX), _open(place, anybody):
            return True
    except ssl.SSLError as error:
        return "ALERT" in str(error)  # it speaks TLS, though not to us
    except (OSError, TimeoutError):
        return False


async def _speaks_plainly(place: Place) -> bool:
    try:
        async with asyncio.timeout(STEP_SECONDS_MAX), _open(place, None) as line:
            await line.versions()
            return True
    except (OSError, EOFError, TimeoutError):
        return False


async def _shake_hands(settings: Settings, place: Place, line: Line) -> None:
    """Whether both want SASL, or none does, and by which mechanism."""
    protocol, mechanism = settings.kafka_security_protocol, settings.kafka_sasl_mechanism
    wanted = protocol.startswith("SASL")
    transport = protocol.removeprefix("SASL_")
    try:
        async with asyncio.timeout(STEP_SECONDS_MAX):
            code, mechanisms = await line.handshake(mechanism)
    except (OSError, EOFError, TimeoutError, struct.error, UnicodeDecodeError) as error:
        raise Unavailable(f"{place} does not answer: {words.of(error)}") from error
    offered = ", ".join(mechanisms)
    if not wanted and code != NO_SASL_HERE:
        other = "SASL_SSL" if transport == "SSL" else "SASL_PLAINTEXT"
        raise NotLetIn(
            f"{place} demands SASL ({offered}): set {PROTOCOL} to {other}, {MECHANISM} and what belongs to it"
        )
    if wanted and code == NO_SASL_HERE:
        other = "SSL" if transport == "SSL" else "PLAINTEXT"
        raise NotLetIn(f"{place} takes no SASL there: set {PROTOCOL} to {other}, or use a port with SASL")
    if wanted and code == UNSUPPORTED_MECHANISM:
        raise NotLetIn(f"{place} does not offer {mechanism}: set {MECHANISM} to one of {offered}")


async def _log_in(settings: Settings, place: Place) -> list[Place]:
    """The addresses of all brokers, as told to who has proved who it is."""
    connection = AIOKafkaConnection(
        place.host, place.port, request_timeout_ms=int(STEP_SECONDS_MAX * 1000), **security.arguments(settings)
    )
    try:
        async with asyncio.timeout(STEP_SECONDS_MAX * 2):
            await connection.connect()
            answer = await connection.send(MetadataRequest([]))
    except SaslAuthenticationFailed as error:
        raise NotLetIn(_refused(settings, place, error)) from error
    except (KafkaError, OSError, TimeoutError, ValueError) as error:
        if settings.kafka_sasl_mechanism == "OAUTHBEARER":
            await Tokens(settings).fetch()  # tells better what is wrong, if that is what is
        raise Unavailable(f"{place}: {words.of(error)}") from error
    finally:
        connection.close()
    if not answer.brokers and settings.kafka_sasl_mechanism == "OAUTHBEARER":
        # a broker tells in its answer that it does not take a token, and the client does not look at that
        raise NotLetIn(_refused(settings, place, ConnectionError("the broker answers with an error")))
    return [Place(broker[1], broker[2]) for broker in answer.brokers]


def _refused(settings: Settings, place: Place, error: Exception) -> str:
    if settings.kafka_sasl_mechanism == "OAUTHBEARER":
        return (
            f"{place} does not accept the token of {ENV_PREFIX}KAFKA_OAUTH_TOKEN_ENDPOINT: {words.of(error)}; its "
            "issuer, audience, scope and signature must be those that the broker expects"
        )
    return (
        f"{place} refuses the user {settings.kafka_sasl_username!r} by {settings.kafka_sasl_mechanism}: check "
        f"{ENV_PREFIX}KAFKA_SASL_USERNAME, {ENV_PREFIX}KAFKA_SASL_PASSWORD and {MECHANISM} ({words.of(error)})"
    )


@contextlib.asynccontextmanager
async def _open(place: Place, trust: ssl.SSLContext | None) -> AsyncIterator[Line]:
    reader, writer = await asyncio.open_connection(place.host, place.port, ssl=trust)
    try:
        yield Line(reader, writer)
    finally:
        writer.transport.abort()
