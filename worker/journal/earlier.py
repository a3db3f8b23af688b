"""What the topic of states tells from earlier on: read once, before a snapshot, to find what is not true any more.

While the topic was switched off, or where the database was restored to an earlier state, users may have left their last
segment or have been forgotten without a record; a snapshot of those who are in a segment would not tell it.
"""

from __future__ import annotations

import asyncio

import orjson

from worker.kafka.whole import Whole
from worker.settings import Settings

RECORDS_MAX = 1_000
"""Records that are looked at in one go."""


class Earlier:
    """Reads the topic from its beginning to where it ended when that began."""

    def __init__(self, settings: Settings, topic: str, partitions: int) -> None:
        self._seconds_max = settings.kafka_seconds_max
        self._whole = Whole(settings, topic, partitions)

    async def users(self, head: int) -> list[str] | None:
        """The next users whom a record has in a segment, or as of a number after `head`; None where none is left."""
        async with asyncio.timeout(self._seconds_max):
            records = await self._whole.next(RECORDS_MAX)
        if records is None:
            await self.close()
            return None
        return list(dict.fromkeys(record.key.decode() for record in records if _is_doubtful(record.value, head)))

    async def close(self) -> None:
        """Leave Kafka."""
        await self._whole.close()


def _is_doubtful(value: bytes | None, head: int) -> bool:
    if value is None:
        return False
    state = orjson.loads(value)
    return bool(state["segments"]) or state["sequence"] > head
