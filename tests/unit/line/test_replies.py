"""Queries wait for their answers, but not without end."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from prometheus_client import REGISTRY

from tests.unit.line.received import received
from worker.errors import Unavailable
from worker.line import replies
from worker.line.replies import Replies
from worker.observability.progress import Progress
from worker.postgres.session import Database
from worker.settings import Settings

QUERY = received("membership.query", {"user_id": "u"})


def made() -> Replies:
    settings = Settings(kafka_bootstrap_servers="localhost:1")
    watch = Progress(60).watch("replies")
    return Replies(settings, Database(settings).session("test"), clock=lambda: datetime.now(UTC), watch=watch)


def lost() -> float:
    return REGISTRY.get_sample_value("segmentation_replies_total", {"outcome": "lost"}) or 0


async def test_too_many_are_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replies, "QUERIES_WAITING_MAX", 3)
    waiting, before = made(), lost()
    waiting.ask([QUERY] * 5)
    assert waiting._queue.qsize() == 3
    assert lost() == before + 2


async def test_what_cannot_be_answered_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """And does not end the worker."""
    monkeypatch.setattr(replies, "RETRY_SECONDS", 0)

    async def away(_: Replies) -> None:
        raise Unavailable("away")

    monkeypatch.setattr(Replies, "_live_producer", away)
    before = lost()
    await made()._answer([QUERY.what, QUERY.what])
    assert lost() == before + 2


async def test_nothing_to_wait_for() -> None:
    await made().settled()
