"""The clients' options: each one here steps over a trap."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiokafka.client
import pytest
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.protocol.metadata import MetadataRequest_v5
from aiokafka.record.default_records import DefaultRecordBatchBuilder, _DefaultRecordBatchBuilderPy
from pydantic import SecretStr

from tests.support.certificates import authority
from worker.errors import ConfigurationError, Unavailable
from worker.kafka import clients as kafka
from worker.kafka import security
from worker.settings import TRANSACTION_SECONDS_MAX, Settings

Closing = Callable[[Any], Any]
SETTINGS = Settings(kafka_bootstrap_servers="localhost:1", session_seconds_max=30, kafka_seconds_max=20)


def test_the_compiled_parser_is_there() -> None:
    assert DefaultRecordBatchBuilder is not _DefaultRecordBatchBuilderPy
    kafka.require_compiled_records()


def test_without_the_compiled_parser_nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiokafka.record.default_records.DefaultRecordBatchBuilder", _DefaultRecordBatchBuilderPy)
    with pytest.raises(ConfigurationError, match="AIOKAFKA_NO_EXTENSIONS"):
        kafka.require_compiled_records()


@pytest.fixture
async def closing() -> AsyncIterator[Closing]:
    """Takes clients that are only looked at, and closes them: an unclosed one complains when it is collected."""
    clients: list[Any] = []

    def keep(client: Any) -> Any:
        clients.append(client)
        return client

    yield keep
    for client in clients:
        await client.stop()


async def test_the_group_consumer(closing: Closing) -> None:
    """One assignor, no commits of its own, from the beginning where it knows no position, and no rebalance that a
    database which is away could cause."""
    consumer = closing(kafka.group_consumer(SETTINGS))
    assert consumer._partition_assignment_strategy == (StickyPartitionAssignor,)
    assert consumer._enable_auto_commit is False
    assert consumer._auto_offset_reset == "earliest"
    assert consumer._isolation_level == "read_committed"
    assert consumer._max_poll_interval_ms == 24 * 3600 * 1000
    assert consumer._session_timeout_ms == 30_000
    assert consumer._heartbeat_interval_ms == 3_000
    assert consumer._rebalance_timeout_ms == 60_000
    assert (consumer._key_deserializer, consumer._value_deserializer) == (None, None)
    assert consumer._group_instance_id is None


async def test_the_rebalance_lasts_no_shorter_than_the_session(closing: Closing) -> None:
    consumer = closing(kafka.group_consumer(SETTINGS.model_copy(update={"session_seconds_max": 300})))
    assert consumer._rebalance_timeout_ms == 300_000


async def test_a_reader_sees_what_is_committed(closing: Closing) -> None:
    reader = closing(kafka.reader(SETTINGS))
    assert reader._isolation_level == "read_committed"
    assert reader._group_id is None
    every = closing(kafka.reader(SETTINGS, isolation_level="read_uncommitted"))
    assert every._isolation_level == "read_uncommitted"


async def test_the_relays_producer_waits_longer_than_the_relay(closing: Closing) -> None:
    """So that it is thrown away before its own time-outs leave a transaction in doubt."""
    producer = closing(kafka.transactional_producer(SETTINGS, "t.relay"))
    assert producer._txn_manager.transactional_id == "t.relay"
    assert producer._request_timeout_ms == 2 * 20_000
    assert producer._request_timeout_ms < TRANSACTION_SECONDS_MAX * 1000
    assert producer._message_accumulator._batch_size >= 256 * 1024
    assert producer._max_request_size > kafka.EVENT_BYTES_MAX


def test_passwords_and_certificates_go_where_they_belong() -> None:
    plain = security.arguments(SETTINGS)
    assert plain == {"security_protocol": "PLAINTEXT"}
    sasl = security.arguments(
        Settings(
            kafka_security_protocol="SASL_SSL",
            kafka_sasl_mechanism="SCRAM-SHA-512",
            kafka_sasl_username="u",
            kafka_sasl_password="p",
        )
    )
    assert sasl.pop("ssl_context").verify_mode.name == "CERT_REQUIRED"
    assert sasl == {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "u",
        "sasl_plain_password": "p",
    }


@pytest.mark.parametrize("field", ["kafka_ssl_cafile", "kafka_ssl_certfile"])
def test_a_certificate_that_is_not_there(field: str) -> None:
    given: dict[str, Any] = {"kafka_security_protocol": "SSL", field: "/no/such/file.pem"}
    settings = Settings(**given)
    with pytest.raises(ConfigurationError, match="SEGMENTATION_KAFKA_SSL_"):
        security.arguments(settings)


@pytest.mark.parametrize(
    ("passphrase", "said"),
    [
        (None, "the key is encrypted: set SEGMENTATION_KAFKA_SSL_KEY_PASSWORD to its passphrase"),
        ("wrong-one", "SEGMENTATION_KAFKA_SSL_KEY_PASSWORD does not open the key"),
    ],
)
def test_an_encrypted_key_without_its_passphrase(tmp_path: Path, passphrase: str | None, said: str) -> None:
    """Nobody is asked at the terminal."""
    certfile, keyfile = authority(tmp_path).issue("client", passphrase="right-one")
    settings = Settings(
        kafka_security_protocol="SSL",
        kafka_ssl_certfile=str(certfile),
        kafka_ssl_keyfile=str(keyfile),
        kafka_ssl_key_password=SecretStr(passphrase) if passphrase else None,
    )
    with pytest.raises(ConfigurationError) as raised:
        security.arguments(settings)
    assert str(raised.value) == f"SEGMENTATION_KAFKA_SSL_KEYFILE: {keyfile}: {said}"


@pytest.mark.parametrize("error", [kafka.KafkaConnectionError("gone"), OSError("refused"), TimeoutError()])
def test_what_kafka_says_becomes_weather(error: Exception) -> None:
    with pytest.raises(Unavailable, match=r"^Kafka at localhost:1: .") as raised, kafka.translated(SETTINGS):
        raise error
    assert raised.value.__cause__ is error


def test_bugs_stay_bugs() -> None:
    with pytest.raises(ZeroDivisionError), kafka.translated(SETTINGS):
        1 / 0  # noqa: B018


@pytest.fixture
async def forever() -> AsyncIterator[asyncio.Event]:
    yield asyncio.Event()


async def test_waiting_has_a_limit(forever: asyncio.Event) -> None:
    with pytest.raises(TimeoutError):
        await kafka.bounded(forever.wait(), 0)
    assert await kafka.bounded(asyncio.sleep(0, "done"), 60) == "done"


async def test_a_client_that_does_not_close_is_left(forever: asyncio.Event) -> None:
    closing = asyncio.ensure_future(_wait(forever))
    await kafka.abandon(_await(closing), 0)
    await asyncio.wait({closing})
    assert closing.cancelled()


@pytest.mark.parametrize("error", [kafka.KafkaError(), OSError(), AssertionError(), asyncio.CancelledError()])
async def test_how_a_client_fails_to_close_is_nobodys_concern(error: BaseException) -> None:
    async def close() -> None:
        raise error

    await kafka.abandon(close())


async def _wait(event: asyncio.Event) -> None:
    await event.wait()


async def _await(task: asyncio.Future[None]) -> None:
    await task


async def test_no_client_creates_a_topic_by_asking_for_it() -> None:
    request = aiokafka.client.MetadataRequest(["t"])
    assert request.build(MetadataRequest_v5).allow_auto_topic_creation is False


async def test_a_client_that_does_not_stop_is_cut_off() -> None:
    """Its tasks are gone, and so is what waited there to be sent."""
    producer = kafka.producer(SETTINGS)
    hanging = asyncio.create_task(producer._message_accumulator.close())
    producer._sender._sender_task = asyncio.create_task(producer._sender._find_coordinator("kind", "key"))
    producer._sender._coordinators.clear()
    await kafka.cut_off(producer)
    assert hanging.done()
    assert producer._sender._sender_task.done()
    assert producer._closed
