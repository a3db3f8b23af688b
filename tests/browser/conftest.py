"""One headless Chromium for the run, and pages that report whatever they ask for or complain of."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from playwright.async_api import Browser, Page, async_playwright

from tests.browser.browsers import ARGUMENTS, NoBrowser, find
from worker.reports.page.render import render
from worker.reports.page.summary import Summary

Scheme = Literal["light", "dark"]
HEIGHT = 900


@dataclass(frozen=True, slots=True)
class Shown:
    """A loaded page, the URLs that it asked for, and what the browser complained of."""

    page: Page
    requests: list[str]
    complaints: list[str]


Show = Callable[[Summary, int, Scheme], Awaitable[Shown]]


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Headless, with a new and empty profile."""
    try:
        program = find()
    except NoBrowser as error:
        pytest.skip(str(error))
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(
            executable_path=program.path, args=ARGUMENTS, env={**os.environ, **program.environment}
        )
        yield started
        await started.close()


@pytest.fixture
async def show(browser: Browser, tmp_path: Path) -> AsyncIterator[Show]:
    """Show a summary's page, as a file that somebody has opened."""
    contexts = []

    async def shown(summary: Summary, width: int, scheme: Scheme = "light") -> Shown:
        path = tmp_path / "page.html"
        path.write_text(render(summary), encoding="utf-8")
        context = await browser.new_context(viewport={"width": width, "height": HEIGHT}, color_scheme=scheme)
        contexts.append(context)
        found = Shown(await context.new_page(), [], [])
        found.page.on("request", lambda request: found.requests.append(request.url))
        found.page.on("console", lambda message: found.complaints.append(message.text))
        found.page.on("pageerror", lambda error: found.complaints.append(str(error)))
        await found.page.goto(path.as_uri())
        return found

    yield shown
    for context in contexts:
        await context.close()
