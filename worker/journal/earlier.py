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

    async def users(self, head: int) -> dict[str, bool] | None:
        """The next users who have a state, and whether it may be one that is not true any more where they are known.

        That is where it has them in a segment, or is of a number after `head`. None where no user is left.
        """
        async with asyncio.timeout(self._seconds_max):
            records = await self._whole.next(RECORDS_MAX)
        if records is None:
            await self.close()
            return None
        last = {record.key.decode(): record.value for record in records}
        return {user: _is_doubtful(value, head) for user, value in last.items() if value is not None}

    async def close(self) -> None:
        """Leave Kafka."""
        await self._whole.close()


def _is_doubtful(value: bytes, head: int) -> bool:
    state = orjson.loads(value)
    return bool(state["segments"]) or state["sequence"] > head
