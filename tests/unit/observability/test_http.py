"""The pages without a worker behind them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from worker.errors import ConfigurationError
from worker.local.server import free_port
from worker.observability.http import Http
from worker.observability.progress import Progress
from worker.settings import Settings


class Pages:
    """A server whose answers the test decides."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.problems: list[str] = []
        self.progress = Progress(60, lambda: self.seconds)
        self.settings = Settings(http_address=f"127.0.0.1:{free_port()}")
        self.http = Http(self.settings, self.progress, lambda: self.problems)

    async def get(self, path: str, **headers: str) -> tuple[int, str, str]:
        url = f"http://{self.settings.http_address}{path}"
        async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
            return answer.status, answer.content_type, await answer.text()


@pytest.fixture
async def pages() -> AsyncIterator[Pages]:
    made = Pages()
    await made.http.start()
    yield made
    await made.http.stop()


async def test_alive_until_a_loop_is_stuck(pages: Pages) -> None:
    watch = pages.progress.watch("apply 0")
    watch.beat()
    assert await pages.get("/livez") == (200, "text/plain", "ok\n")
    pages.seconds = 61
    assert await pages.get("/livez") == (503, "text/plain", "apply 0: no progress for 61 s\n")
    watch.beat()
    assert (await pages.get("/livez"))[0] == 200


async def test_ready_until_there_is_a_problem(pages: Pages) -> None:
    assert await pages.get("/readyz") == (200, "text/plain", "ok\n")
    pages.problems = ["one", "another"]
    assert await pages.get("/readyz") == (503, "text/plain", "one\nanother\n")
    assert (await pages.get("/livez"))[0] == 200


async def test_metrics_in_the_form_that_is_asked_for(pages: Pages) -> None:
    status, kind, text = await pages.get("/metrics")
    assert (status, kind) == (200, "text/plain")
    assert "# TYPE segmentation_commands_total counter" in text
    status, kind, text = await pages.get("/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert (status, kind) == (200, "application/openmetrics-text")
    assert text.endswith("# EOF\n")


async def test_a_taken_address(pages: Pages) -> None:
    again = Http(pages.settings, pages.progress, list)
    with pytest.raises(ConfigurationError, match=r"^SEGMENTATION_HTTP_ADDRESS: .* can't be listened on .*empty"):
        await again.start()


async def test_nowhere() -> None:
    http = Http(Settings(http_address=""), Progress(60), list)
    await http.start()
    await http.stop()
    assert http._runner is None
