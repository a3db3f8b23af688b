"""The compacted topic of users' states, read as a program does that comes later."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from schemas.state import SPEC, MembershipState
from schemas.topics import topic_name
from tests.support.line import WAIT_SECONDS_MAX
from worker.kafka import clients as kafka
from worker.kafka import topics
from worker.settings import Settings


@dataclass(frozen=True, slots=True)
class Told:
    """A record of the topic; `state` is None for a tombstone."""

    partition: int
    user: str
    sequence: int
    state: dict[str, Any] | None
    headers: dict[str, bytes]

    @property
    def names(self) -> list[str]:
        """The segments that the user is in."""
        assert self.state is not None
        return [item["segment"] for item in self.state["segments"]]


async def told(settings: Settings, enough: Callable[[list[Told]], bool] = lambda _: True) -> list[Told]:
    """All records from the topic's beginning to where it ends now, in order, and those after it until it is enough."""
    name = topic_name(settings.topic_prefix, SPEC.topic)
    reader, found = kafka.reader(settings), list[Told]()
    places = [kafka.TopicPartition(name, number) for number in range((await topics.partitions(settings))[name])]
    try:
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            await reader.start()
            reader.assign(places)
            await reader.seek_to_beginning(*places)
            ends = await reader.end_offsets(places)
            while not enough(found) or [place for place in places if await reader.position(place) < ends[place]]:
                for records in (await reader.getmany(timeout_ms=100)).values():
                    found += [_told(record) for record in records]
    except TimeoutError:
        raise AssertionError(f"not enough states were told: {len(found)}, the last {found[-5:]}") from None
    finally:
        await kafka.abandon(reader.stop())
    return found


def latest(records: list[Told]) -> dict[str, Told]:
    """What compaction leaves of them."""
    return {record.user: record for record in records}


def _told(record: kafka.ConsumerRecord) -> Told:
    headers, state = dict(record.headers), None
    sequence = int(headers["ce_sequence"])
    if record.value is not None:
        MembershipState.model_validate_json(record.value, extra="forbid")
        state = json.loads(record.value)
        assert (state["user_id"].encode(), state["sequence"]) == (record.key, sequence)
    return Told(record.partition, record.key.decode(), sequence, state, headers)
