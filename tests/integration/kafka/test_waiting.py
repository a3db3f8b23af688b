"""A worker that starts before Kafka, or PostgreSQL, waits for it; and ends on what only a person can mend."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
import structlog

from tests.support.line import line
from tests.support.pages import ready, with_pages
from tests.support.passage import passage
from worker import app, waiting
from worker.errors import ConfigurationError, NotLetIn
from worker.local.server import HOST, free_port
from worker.settings import Settings


@contextlib.asynccontextmanager
async def _starting(settings: Settings) -> AsyncIterator[asyncio.Task[None]]:
    stop = asyncio.Event()
    task = asyncio.create_task(app.run(settings, stop=stop))
    yield task
    stop.set()
    await asyncio.wait_for(task, 60)


async def _waits(task: asyncio.Task[None], said: list[structlog.typing.EventDict], times: int, what: str) -> None:
    async with asyncio.timeout(60):
        while len([one for one in said if one["event"].startswith("waiting") and what in one["error"]]) < times:
            assert not task.done(), task.result()
            await asyncio.sleep(0.02)


async def test_kafka_is_not_there_yet(settings: Settings, topics: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """It says for whom it waits, in longer and longer steps, and begins as soon as Kafka is there."""
    monkeypatch.setattr(waiting, "PAUSE_SECONDS_MIN", 0.01)
    port = free_port()
    early = with_pages(settings, kafka_bootstrap_servers=f"{HOST}:{port}")
    with structlog.testing.capture_logs() as said:
        async with _starting(early) as task:
            await _waits(task, said, 3, f"Kafka at {HOST}:{port}: nothing listens there")
            pauses = [one["next_try_seconds"] for one in said if one["event"].startswith("waiting")]
            assert pauses[:3] == [0.01, 0.02, 0.04]
            async with passage(port, settings.kafka_bootstrap_servers):
                await ready(early)
    async with line(settings) as outside, _starting(settings):
        await outside.ask("user.register", {"user_id": "ada"})


async def test_it_is_told_to_stop_while_it_waits(settings: Settings, topics: list[str]) -> None:
    early = settings.model_copy(update={"kafka_bootstrap_servers": f"{HOST}:{free_port()}"})
    with structlog.testing.capture_logs() as said:
        async with _starting(early) as task:
            await _waits(task, said, 1, "Kafka at")


async def test_what_a_person_must_mend_ends_it(settings: Settings) -> None:
    """The topics are missing, and nobody makes them while it waits."""
    with pytest.raises(ConfigurationError, match="run `segmentation topics`"):
        await asyncio.wait_for(app.run(settings), 60)
    with pytest.raises(NotLetIn, match="speaks no TLS there"):
        await asyncio.wait_for(app.run(settings.model_copy(update={"kafka_security_protocol": "SSL"})), 60)
