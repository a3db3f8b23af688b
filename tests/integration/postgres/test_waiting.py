"""A worker that starts before PostgreSQL waits for it, says so, and is alive meanwhile."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit, urlunsplit

import pytest
import structlog

from tests.support.pages import get, ready, shows, with_pages
from tests.support.passage import passage
from worker import app, waiting
from worker.errors import ConfigurationError
from worker.local.server import HOST, free_port
from worker.settings import Settings


async def test_postgresql_is_not_there_yet(
    settings: Settings, topics: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "PAUSE_SECONDS_MIN", 0.01)
    monkeypatch.setattr(waiting, "PAUSE_SECONDS_MAX", 0.1)
    parts, port = urlsplit(settings.database_url.get_secret_value()), free_port()
    credentials = parts.netloc.rpartition("@")[0]
    url = urlunsplit(parts._replace(netloc=f"{credentials}@{HOST}:{port}"))
    early = with_pages(settings, database_url=type(settings.database_url)(url))
    stop = asyncio.Event()
    with structlog.testing.capture_logs() as said:
        task = asyncio.create_task(app.run(early, stop=stop))
        reason = f"PostgreSQL at {HOST}:{port}: connection refused"
        assert reason in await shows(early, "/readyz", lambda status, text: status == 503 and reason in text)
        assert (await get(early, "/livez"))[0] == 200
        async with passage(port, f"{parts.hostname}:{parts.port}"):
            await ready(early)
            stop.set()
            await asyncio.wait_for(task, 60)
    waits = [one for one in said if one["event"].startswith("waiting")]
    assert waits
    assert all(one["error"] == reason for one in waits)
    assert waits == sorted(waits, key=lambda one: one["next_try_seconds"])
    assert not any("migration failed" in str(one) for one in said)


async def test_what_a_person_must_mend_ends_it(settings: Settings) -> None:
    url = settings.database_url.get_secret_value() + "_of_nobody"
    wrong = settings.model_copy(update={"database_url": type(settings.database_url)(url)})
    with pytest.raises(ConfigurationError, match=r"PostgreSQL at .*_of_nobody\" does not exist"):
        await asyncio.wait_for(app.run(wrong), 60)
