"""What people do to topics while workers run."""

from __future__ import annotations

import asyncio

from worker.errors import ConfigurationError
from worker.kafka import clients as kafka
from worker.kafka import topics
from worker.settings import Settings

SECONDS_MAX = 60


async def created_again(settings: Settings, name: str) -> None:
    """Delete a topic, and create it anew under the same name."""
    await deleted(settings, name)
    async with asyncio.timeout(SECONDS_MAX):
        while True:
            try:
                if name in await topics.ensure(settings):
                    return
            except ConfigurationError:
                pass
            await asyncio.sleep(0.2)


async def deleted(settings: Settings, name: str) -> None:
    """Delete a topic."""
    async with kafka.admin(settings) as client:
        await client.delete_topics([name])


async def gone(settings: Settings, name: str) -> None:
    """Delete a topic, and wait until the brokers know it no more."""
    await deleted(settings, name)
    async with asyncio.timeout(SECONDS_MAX):
        while name in await topics.partitions(settings):
            await asyncio.sleep(0.05)
