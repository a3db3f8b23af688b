"""The rights that docs/security.md lists are enough for each part, and each that is missing is named."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import structlog
from pydantic import SecretStr

from schemas.commands import COMMANDS
from schemas.producer import new_command
from schemas.topics import TOPICS, topic_name
from tests.support.acls import Right, give, read, take
from tests.support.line import Line, line, working
from tests.support.secured import PASSWORD, Secured
from worker.errors import ConfigurationError, NotLetIn
from worker.kafka import clients as kafka
from worker.kafka import groups, topics
from worker.settings import Settings

DOCUMENT = Path(__file__).parents[3] / "docs" / "security.md"
As = Callable[[str], Settings]


@pytest.fixture
def master(broker: Secured, settings: Settings) -> Settings:
    """The test's deployment on the secured broker, as who may do everything."""
    own = {
        "kafka_bootstrap_servers": broker.bootstrap_servers,
        "group_id": settings.topic_prefix,
        "state_topic": "on",
    }
    return settings.model_copy(update=own)


@pytest.fixture
def user(broker: Secured, master: Settings) -> As:
    """The same deployment as one of the document's users."""

    def settings_of(name: str) -> Settings:
        given: dict[str, Any] = {
            "kafka_bootstrap_servers": broker.servers("SASL"),
            "kafka_security_protocol": "SASL_PLAINTEXT",
            "kafka_sasl_username": name,
            "kafka_sasl_password": SecretStr(PASSWORD),
        }
        return master.model_copy(update=given)

    return settings_of


@pytest.fixture
async def rights(master: Settings) -> AsyncIterator[list[Right]]:
    """Those of the document, for the test's prefix and group, in force."""
    listed = [
        right._replace(name=right.name.replace("segmentation", master.topic_prefix))
        for right in read(DOCUMENT.read_text(encoding="utf-8"))
    ]
    assert len(listed) > 20
    await give(master, listed)
    yield listed
    await take(master, listed)


async def test_they_are_enough(master: Settings, user: As, rights: list[Right]) -> None:
    """For making the topics, for sending, applying, publishing and answering, and for reading what comes of it."""
    assert await topics.ensure(user("operator"))
    async with line(user("subscriber"), user("producer")) as outside, working(user("worker")):
        await outside.ask("user.register", {"user_id": "ada"})
        await outside.ask("segment.create", {"segment": "beta"})
        await _answered(outside)
        assert await groups.members(user("worker")) == 1, "as the doctor asks"
        assert (await outside.ask("segment.create", {"segment": "beta"})).type == "command.rejected"


async def _answered(outside: Line) -> None:
    made = new_command("membership.query", {"user_id": "ada"}, source="/tests")
    await outside.send_raw(COMMANDS["membership.query"].topic, made.value, made.key, list(made.headers))
    await outside.until(lambda said: any(one.type == "membership.snapshot" for one in said))


async def test_each_that_is_missing_is_named(master: Settings, user: As, rights: list[Right]) -> None:
    await topics.ensure(master)
    worker = user("worker")
    await _eventually(worker, "")
    topic = topic_name(master.topic_prefix, COMMANDS["user.register"].topic)
    for right in [one for one in rights if one.principal == "User:worker"]:
        if right.kind == "--topic" and right.operation == "DescribeConfigs" and right.name != topic:
            continue  # one of them stands for all
        if _is_for_comparing(master, right):
            continue
        await take(master, [right])
        said = (
            f"lacks the right {right.operation} on the {right.kind[2:].replace('-', ' ')} {right.name}: `kafka-acls.sh"
        )
        await _eventually(worker, said)
        await give(master, [right])
    await _eventually(worker, "")


async def test_without_reading_its_own_events(master: Settings, user: As, rights: list[Right]) -> None:
    """As a version did that had no need to: the relay believes its cursor, and says so."""
    await topics.ensure(master)
    await take(
        master, [right for right in rights if right.principal == "User:worker" and _is_for_comparing(master, right)]
    )
    async with line(user("subscriber"), user("producer")) as outside:
        async with working(user("worker")):
            await outside.ask("user.register", {"user_id": "ada"})
        with structlog.testing.capture_logs() as said:
            async with working(user("worker")):
                assert (await outside.ask("user.register", {"user_id": "ben"})).event["sequence"] == "2"
    assert any("can't read its own events" in one["event"] for one in said)


def _is_for_comparing(settings: Settings, right: Right) -> bool:
    """Read on topics that the worker writes."""
    written = {topic_name(settings.topic_prefix, topic) for topic, spec in TOPICS.items() if spec.direction == "out"}
    return right.operation == "Read" and right.name in written


async def _eventually(settings: Settings, said: str) -> None:
    """The brokers learn of rights a moment later."""
    found = "nothing"
    try:
        async with asyncio.timeout(30):
            while True:
                try:
                    await topics.check(settings)
                    found = ""
                except (ConfigurationError, NotLetIn) as error:
                    found = str(error)
                if said == found or (said and said in found):
                    assert "cleanup.policy" not in found
                    return
    except TimeoutError:
        raise AssertionError(f"{said!r} was not said, but {found!r}") from None


async def test_sending_without_the_right(master: Settings, user: As, rights: list[Right]) -> None:
    """At a producer's start, if it may write nowhere; else when it sends."""
    await topics.ensure(master)
    topic = topic_name(master.topic_prefix, COMMANDS["user.register"].topic)
    for name, said in (
        ("subscriber", "principal User:subscriber may write to no topic at all"),
        ("worker", rf"principal User:worker lacks a right on the topic {topic}: docs/security.md"),
    ):
        producer = kafka.producer(user(name))
        try:
            with pytest.raises(NotLetIn, match=said), kafka.translated(user(name)):
                await producer.start()
                await producer.send_and_wait(topic, b"x")
        finally:
            await kafka.abandon(producer.stop())


async def test_a_session_that_the_brokers_do_not_allow(master: Settings, rights: list[Right]) -> None:
    """Told at the start to whom may see the brokers' limits; the group itself only refuses, again and again."""
    await topics.ensure(master)
    with pytest.raises(ConfigurationError, match=r"set SEGMENTATION_SESSION_SECONDS_MAX to .* \(6000 and 1800000\)$"):
        await topics.check(master.model_copy(update={"session_seconds_max": 3_600}))
    with pytest.raises(ConfigurationError, match=r"session of 5 s"):
        await topics.check(master.model_copy(update={"session_seconds_max": 5}))


async def test_a_transaction_that_the_brokers_do_not_allow(master: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka, "TRANSACTION_SECONDS_MAX", 3_600)
    producer = kafka.transactional_producer(master, f"{master.topic_prefix}.relay")
    try:
        with pytest.raises(NotLetIn, match=r"transaction.max.timeout.ms"), kafka.translated(master):
            await kafka.bounded(producer.start(), 30)
    finally:
        await kafka.abandon(producer.stop())
