"""Reads the topic of states, as whoever comes later does."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import orjson

from schemas.state import SPEC
from schemas.topics import topic_name
from worker.kafka import topics
from worker.kafka.clients import translated
from worker.kafka.whole import Whole
from worker.settings import Settings


async def states_of(settings: Settings, users: Sequence[str]) -> list[tuple[str, dict[str, Any] | None]]:
    """Each user's last record, in the order of the users; None for one who was forgotten or is not there."""
    name = topic_name(settings.topic_prefix, SPEC.topic)
    found: dict[str, dict[str, Any] | None] = {}
    whole = Whole(settings, name, (await topics.partitions(settings))[name])
    try:
        with translated(settings):
            async with asyncio.timeout(settings.kafka_seconds_max):
                while (records := await whole.next()) is not None:
                    found |= {one.key.decode(): one.value and orjson.loads(one.value) for one in records}
    finally:
        await whole.close()
    return [(user, found.get(user)) for user in users]
