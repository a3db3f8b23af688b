"""Whom a client waits for: not for a broker that is silent and that the others have given up."""

from __future__ import annotations

import asyncio
from collections import deque
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.conn import CloseReason

from worker.errors import Unavailable
from worker.kafka import clients as kafka
from worker.kafka import silence
from worker.kafka.silence import SILENT_SECONDS, Silence
from worker.local.server import HOST
from worker.settings import Settings


class Connection:
    """One of aiokafka's, with requests that nobody has answered yet."""

    def __init__(self) -> None:
        self._requests: deque[tuple[int, object, object]] = deque()
        self.aborted = False
        self.reason: object = None
        self._writer: Any = SimpleNamespace(transport=SimpleNamespace(abort=self._abort))

    def asked(self) -> None:
        """A request has gone out."""
        self._requests.append((len(self._requests), object(), object()))

    def answered(self) -> None:
        """The oldest one has its answer."""
        self._requests.popleft()

    def close(self, *, reason: object) -> None:
        """As aiokafka's."""
        self.reason, self._writer = reason, None
        self._requests.clear()

    def _abort(self) -> None:
        self.aborted = True


class Client:
    """An aiokafka client of three brokers, with two connections to the first one."""

    def __init__(self) -> None:
        self._conns = {(node, group): Connection() for node, group in ((1, 0), (1, 1), (2, 0))}
        self._topics = {"t"}
        self.learnt: list[Any] = []
        self.cluster = SimpleNamespace(
            brokers=lambda: [SimpleNamespace(nodeId=node) for node in (1, 2, 3)], update_metadata=self.learnt.append
        )
        self.answers: dict[int, list[int] | Exception] = {}
        self.asked: list[int] = []

    async def send(self, node: int, _: object) -> Any:
        """What a broker tells of the cluster."""
        self.asked.append(node)
        answer = self.answers[node]
        if isinstance(answer, Exception):
            raise answer
        return SimpleNamespace(brokers=[(one, "host", 9092, None) for one in answer])


@pytest.fixture
def client() -> Client:
    return Client()


def test_a_broker_is_silent_if_its_oldest_request_stays_the_same(client: Client) -> None:
    busy, still, idle = client._conns.values()
    looks = Silence(client)
    for connection in (busy, busy, still):
        connection.asked()
    assert looks.silent(0) == set()
    busy.answered()
    busy.asked()
    idle.asked()
    assert looks.silent(SILENT_SECONDS - 0.1) == set()
    idle.answered()
    assert looks.silent(SILENT_SECONDS) == {1}, "of its two connections one is still"
    still.answered()
    assert looks.silent(SILENT_SECONDS + 0.1) == set()


async def looked(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have it look a few times, with no time in between."""
    monkeypatch.setattr(silence, "LOOK_SECONDS", 0)
    monkeypatch.setattr(silence, "SILENT_SECONDS", 0)
    looking = asyncio.create_task(Silence(client).look())
    for _ in range(20):
        await asyncio.sleep(0)
    looking.cancel()


async def test_who_is_given_up_by_the_others_is_not_waited_for(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silence, "ANSWER_SECONDS_MAX", 5)
    client.answers = {2: kafka.KafkaConnectionError("gone"), 3: [2, 3]}
    client._conns[1, 1].asked()
    await looked(client, monkeypatch)
    first, second, other = client._conns.values()
    assert [len(one.brokers) for one in client.learnt] == [2], "so it does not connect to that broker again"
    assert client.asked == [2, 3], "one that does not answer proves nothing"
    assert (first.aborted, second.aborted, other.aborted) == (True, True, False)
    assert first.reason == second.reason == CloseReason.CONNECTION_BROKEN  # so aiokafka looks for the new leaders
    assert other.reason is None


@pytest.mark.parametrize(
    "answers", [{2: [1, 2, 3], 3: [1, 2, 3]}, {2: TimeoutError(), 3: OSError()}, {2: [], 3: []}], ids=repr
)
async def test_who_is_only_slow_is_waited_for(
    client: Client, monkeypatch: pytest.MonkeyPatch, answers: dict[int, list[int] | Exception]
) -> None:
    """The others know of it, or nobody can tell."""
    monkeypatch.setattr(silence, "ANSWER_SECONDS_MAX", 5)
    client.answers = answers
    client._conns[1, 0].asked()
    await looked(client, monkeypatch)
    assert client.asked
    assert client.learnt == []
    assert not any(connection.aborted for connection in client._conns.values())


async def test_a_broker_that_takes_connections_and_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """As one that is frozen: the next one of the list has its turn soon, long before a request's own limit."""
    monkeypatch.setattr(silence, "CONNECT_SECONDS_MAX", 0.05)
    writers: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(lambda _, writer: writers.append(writer), HOST, 0)
    servers = f"{HOST}:{silent.sockets[0].getsockname()[1]}"
    producer = kafka.producer(Settings(kafka_bootstrap_servers=servers, kafka_seconds_max=20))
    try:
        with pytest.raises(Unavailable, match=servers), kafka.translated(Settings(kafka_bootstrap_servers=servers)):
            await kafka.bounded(producer.start(), 10)
    finally:
        await producer.stop()
        silent.close()
        for writer in writers:
            writer.close()


async def test_the_watch_ends_with_its_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also with one that is cut off, so that nothing of it stays in memory."""
    for end in (kafka.AIOKafkaProducer.stop, kafka.cut_off):
        producer = kafka.producer(Settings(kafka_bootstrap_servers="localhost:1"))
        monkeypatch.setattr(producer.client, "_metadata_update", lambda *_: asyncio.sleep(3600))
        before = asyncio.all_tasks()
        producer.client._sync_task = asyncio.create_task(producer.client._md_synchronizer())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks() - before) == 2
        await end(producer)
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == before
