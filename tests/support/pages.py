"""The worker's own pages, read as probes and scrapers do."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from worker.local.server import HOST, free_port
from worker.settings import Settings

WAIT_SECONDS_MAX = 60.0


def with_pages(settings: Settings, **others: object) -> Settings:
    """The same settings, with an address for the pages."""
    return settings.model_copy(update={"http_address": f"{HOST}:{free_port()}"} | others)


async def get(settings: Settings, path: str) -> tuple[int, str]:
    """Status and text of a page."""
    async with aiohttp.ClientSession() as session, session.get(f"http://{settings.http_address}{path}") as answer:
        return answer.status, await answer.text()


async def ready(settings: Settings) -> None:
    """Wait until the worker holds all its partitions."""
    await shows(settings, "/readyz", lambda status, _: status == 200)


async def shows(settings: Settings, path: str, enough: Callable[[int, str], bool]) -> str:
    """Wait until a page says what is wanted; its text."""
    found = (0, "")
    try:
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while not enough(*found):
                with contextlib.suppress(aiohttp.ClientConnectionError):  # it does not listen yet
                    found = await get(settings, path)
    except TimeoutError:
        raise AssertionError(f"{path} still says {found}") from None
    return found[1]


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """A page of metrics: the values by name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(text: str, name: str, **labels: object) -> float | None:
    """One sample, None if there is none."""
    return samples(text).get((name, frozenset((label, str(item)) for label, item in labels.items())))
