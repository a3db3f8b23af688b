"""A large backlog behind a narrow link: transactions become as small as it takes, and memory holds one of them."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.usage import rss_mib
from tests.support.events import execute, rows
from tests.support.line import line, working
from tests.support.link import narrow
from tests.support.workers import workers
from worker.journal.encode import Event
from worker.journal.publisher import Publisher
from worker.kafka import clients as kafka
from worker.kafka.closing import owner
from worker.settings import Settings

ROWS, RECORD_CHARACTERS = 120, 88_000
BYTES_MAX = 8 * 1024 * 1024
ROWS_MANY, MEMORY_MIB_MAX, SECONDS_MAX = 6_000, 300.0, 600
SLOW, FAST = 250_000, 50_000_000
"""Bytes a second: one row in a third of a second but not what a relay begins with, or any transaction in time."""
FILL = """
with head as (update journal_head set sequence = sequence + $1, time = now() returning time)
insert into journal (sequence, time, type, record_key, detail)
select n, time, 'command.rejected', 'k', json_build_object(
    'code', 'malformed', 'message', 'no', 'errors', '[]'::json, 'topic', 't', 'partition', 0, 'offset', n,
    'record', repeat('A', $2), 'record_bytes', $2
)
from head, generate_series(1, $1) as n
"""


async def test_a_backlog_of_large_rows(settings: Settings, topics: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """It gets through a link that takes a single row in time, and faster when that is mended; what was given up for
    its time-out sends nothing more, and holds neither connections nor tasks."""
    await execute(settings, FILL.replace("$1", str(ROWS)).replace("$2", str(RECORD_CHARACTERS)))
    sizes: list[int] = []
    failures: list[int] = []
    of_others = _producers_tasks()
    publish, cut_off = Publisher.publish, kafka.cut_off
    slow = settings.model_copy(update={"group_id": "narrow", "kafka_seconds_max": 1.0, "relay_bytes_max": BYTES_MAX})

    async def noted(publisher: Publisher, events: Sequence[Event], cursor: bytes) -> None:
        sizes.append(sum(len(event.value) for event in events))
        await publish(publisher, events, cursor)

    async def ended(client: kafka.AIOKafkaProducer) -> None:
        connections = [one for one in client.client._conns.values() if one.connected()]
        await cut_off(client)
        failures.append(sum(one.connected() for one in connections) + len(_tasks_of(client)))

    monkeypatch.setattr(Publisher, "publish", noted)
    monkeypatch.setattr(kafka, "cut_off", ended)
    async with narrow(monkeypatch, "narrow", SLOW) as link, line(settings) as outside, working(slow):
        await outside.until(lambda said: len(said) >= 1)
        assert failures
        link.bytes_per_second = FAST
        said = await outside.until(lambda said: len(said) >= ROWS)
        assert link.open <= 10
    assert sorted(int(one.event["sequence"]) for one in said) == list(range(1, ROWS + 1))
    assert set(failures) == {0}
    assert max(sizes) <= BYTES_MAX
    assert max(sizes) > RECORD_CHARACTERS * 4
    gc.collect()
    assert _producers_tasks() <= of_others


def _tasks_of(client: kafka.AIOKafkaProducer) -> list[asyncio.Task[object]]:
    parts = (client, client.client, client._sender, client._message_accumulator)
    return [task for task in asyncio.all_tasks() if owner(task) in parts]


@pytest.mark.slow
async def test_the_relays_memory(settings: Settings, topics: list[str], tmp_path: Path) -> None:
    """With a backlog of hundreds of MiB it is that of one transaction."""
    await execute(settings, FILL.replace("$1", str(ROWS_MANY)).replace("$2", str(RECORD_CHARACTERS)))
    peak_mib = 0.0
    async with workers(settings, 1, tmp_path) as (worker,):
        await worker.start()
        async with asyncio.timeout(SECONDS_MAX):
            while (await rows(settings, "select published_sequence as n from relay"))[0]["n"] < ROWS_MANY:
                assert worker.process is not None
                peak_mib = max(peak_mib, rss_mib(worker.process.pid))
                await asyncio.sleep(0.05)
    print(f"peak: {peak_mib:.0f} MiB")
    assert peak_mib < MEMORY_MIB_MAX


def _producers_tasks() -> set[asyncio.Task[object]]:
    return {task for task in asyncio.all_tasks() if "Sender." in str(task.get_coro())}
