"""The relay dies around its commit: what it published is read exactly once."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.audit import audit
from tests.support.line import line, working
from tests.support.load import Load
from worker import kafka
from worker.settings import Settings

FAULTS = 5


@pytest.fixture(name="settings")
def small_transactions(settings: Settings) -> Settings:
    """A relay that needs many transactions."""
    return settings.model_copy(update={"relay_rows_max": 5})


@pytest.mark.parametrize("is_committed", [False, True])
async def test_the_relay_fails_around_its_commit(
    settings: Settings, topics: list[str], monkeypatch: pytest.MonkeyPatch, is_committed: bool
) -> None:
    """Before it the transaction is aborted by the next producer, after it only the answer is lost."""
    commit = kafka.AIOKafkaProducer.commit_transaction
    faults = 0

    async def failing(producer: kafka.AIOKafkaProducer) -> None:
        nonlocal faults
        faults += 1
        if faults > FAULTS:
            await commit(producer)
            return
        if is_committed:
            await commit(producer)
        raise kafka.KafkaError("the connection was lost")

    monkeypatch.setattr(kafka.AIOKafkaProducer, "commit_transaction", failing)
    async with line(settings) as outside, working(settings):
        load = Load(outside, 11)
        await load.populate()
        await audit(outside, settings, load.sent, load.garbage)
    assert faults > FAULTS


async def test_two_relays_for_a_moment(settings: Settings, topics: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A second producer with the relay's transactional id fences the first, whose work in hand is not read."""
    begin = kafka.AIOKafkaProducer.begin_transaction
    rivals: list[kafka.AIOKafkaProducer] = []

    async def fenced(producer: kafka.AIOKafkaProducer) -> None:
        await begin(producer)
        if not rivals:
            rival = kafka.transactional_producer(settings, f"{settings.topic_prefix}.relay")
            rivals.append(rival)
            await rival.start()

    monkeypatch.setattr(kafka.AIOKafkaProducer, "begin_transaction", fenced)
    async with line(settings) as outside, working(settings):
        load = Load(outside, 12)
        await load.populate()
        await audit(outside, settings, load.sent, load.garbage)
    assert rivals
    await rivals[0].stop()


async def test_a_refused_event_is_not_skipped(
    settings: Settings, topics: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kafka's client commits a transaction although a record in it was refused; the relay must not."""
    refused: list[Any] = []
    send_batch = kafka.AIOKafkaProducer.send_batch

    async def refusing(producer: kafka.AIOKafkaProducer, batch: Any, topic: str, *, partition: int) -> Any:
        delivery = await send_batch(producer, batch, topic, partition=partition)
        if len(refused) < FAULTS:
            refused.append(topic)
            await delivery
            failed = delivery.get_loop().create_future()
            failed.set_exception(kafka.MessageSizeTooLargeError("as the broker says it"))
            return failed
        return delivery

    monkeypatch.setattr(kafka.AIOKafkaProducer, "send_batch", refusing)
    async with line(settings) as outside, working(settings):
        load = Load(outside, 13)
        await load.populate()
        await audit(outside, settings, load.sent, load.garbage)
    assert len(refused) == FAULTS
