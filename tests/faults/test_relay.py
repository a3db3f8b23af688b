"""The relay dies around its commit: what it published is read exactly once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from schemas.topics import Topic, topic_name
from tests.support.audit import audit
from tests.support.line import line, working
from tests.support.load import Load
from tests.support.workers import Worker, workers
from worker.kafka import clients as kafka
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


async def test_a_refused_event_is_not_skipped(settings: Settings, topics: list[str], tmp_path: Path) -> None:
    """Kafka's client commits a transaction although the broker refused a batch in it; the relay must not."""
    name = topic_name(settings.topic_prefix, Topic.MEMBERSHIP_EVENTS)
    async with workers(settings, 1, tmp_path) as (worker,), line(settings) as outside:
        await worker.start()
        load = Load(outside, 13)
        await load.populate()
        await _limit(settings, name, 200)  # lets the markers of transactions through
        await load.run(asyncio.Event(), bursts_max=2, pause_seconds=0)
        await _refused(worker)
        await _limit(settings, name, kafka.EVENT_BYTES_MAX * 2)
        await audit(outside, settings, load.sent, load.garbage)


async def _limit(settings: Settings, topic: str, message_bytes_max: int) -> None:
    changes = {"max.message.bytes": str(message_bytes_max)}
    async with kafka.admin(settings) as client:
        await client.alter_configs([kafka.ConfigResource(kafka.ConfigResourceType.TOPIC, topic, changes)])


async def _refused(worker: Worker) -> None:
    """Wait until the relay has failed a few times."""
    async with asyncio.timeout(60):
        while True:
            _, text = await worker.get("/metrics")
            name = 'segmentation_relay_transactions_total{outcome="failed"}'
            counts = [float(line.split()[1]) for line in text.splitlines() if line.startswith(name)]
            if counts and counts[0] >= 2:
                return
            await asyncio.sleep(0.1)
