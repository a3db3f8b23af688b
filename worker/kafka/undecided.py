"""Where a producer's transactions have not come to an end though Kafka says that they have, and how they do.

A transaction is committed, or aborted, once its coordinator has noted so; each partition that it wrote to is told after
that. Brokers of Kafka 4 leave out a partition that no broker leads at that moment, as if it was deleted (KAFKA-20734):
a single broker that was killed and starts again does that to all of them. What was written there stays undecided, for
readers of what is committed it is not there, and nothing after it either, until the producer's next transaction on that
partition ends; and then it shares the fate of that one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection
from functools import partial
from typing import Literal, NamedTuple

from worker.kafka.clients import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition, bounded
from worker.kafka.facts import OFFSETS_SECONDS_MAX, high_watermarks, is_leaderless, offsets

PAUSE_SECONDS, PAUSE_SECONDS_MAX = 0.002, 0.1
"""Between looks, at first and at most: mostly the partitions are told within milliseconds of the commit."""


class Span(NamedTuple):
    """Where readers of what is committed stop, and where the log ends: in between something has no end."""

    stable: int
    end: int


class Undecided(NamedTuple):
    """Partitions with something undecided, and those of which Kafka does not tell."""

    spans: dict[TopicPartition, Span]
    untold: set[TopicPartition]

    @property
    def places(self) -> list[TopicPartition]:
        """Those with something undecided."""
        return sorted(self.spans)


async def watch(consumer: AIOKafkaConsumer, places: Collection[TopicPartition]) -> None:
    """Have a started consumer keep what brokers tell of these partitions' topics, without fetching from them."""
    await consumer._client.set_topics({place.topic for place in places})


async def undecided(consumer: AIOKafkaConsumer, places: Collection[TopicPartition]) -> Undecided:
    """Compare the last stable offsets with the high watermarks; the consumer watches the places, and reads what is
    committed.

    The watermarks come first, so what ends meanwhile does not count. Of brokers that do not answer nothing is told.
    """
    if any(is_leaderless(consumer, place) for place in places):
        with contextlib.suppress(TimeoutError):
            await bounded(consumer._client.force_metadata_update(), OFFSETS_SECONDS_MAX)
    asked = [place for place in places if not is_leaderless(consumer, place)]
    marks = await offsets(partial(high_watermarks, consumer), asked, OFFSETS_SECONDS_MAX)
    stable = await offsets(consumer.end_offsets, list(marks), OFFSETS_SECONDS_MAX)
    spans = {place: Span(stable[place], marks[place]) for place in stable if stable[place] < marks[place]}
    return Undecided(spans, set(places) - stable.keys())


async def wait_for_ends(
    consumer: AIOKafkaConsumer, places: Collection[TopicPartition], seconds: float, untold_seconds: float = 0.0
) -> Undecided:
    """Wait until nothing is undecided, at most for so long, and until all is told of partitions that have a leader.

    Returns what still is so then.
    """
    loop = asyncio.get_running_loop()
    began, pause = loop.time(), PAUSE_SECONDS
    while True:
        found = await undecided(consumer, places)
        passed = loop.time() - began
        waits = found.spans and passed < seconds
        if any(not is_leaderless(consumer, place) for place in found.untold):
            waits = waits or passed < untold_seconds
        if not waits:
            return found
        await asyncio.sleep(pause)
        places, pause = [*found.spans, *found.untold], min(2 * pause, PAUSE_SECONDS_MAX)


async def end(producer: AIOKafkaProducer, places: Collection[TopicPartition], how: Literal["commit", "abort"]) -> None:
    """Have what the producer, or one before it, left undecided there come to an end, by a transaction without records.

    The producer has initialised its transactions, and none is open. Raises KafkaError.
    """
    await producer.begin_transaction()
    for place in places:
        producer._txn_manager.maybe_add_partition_to_txn(place)
    await (producer.commit_transaction() if how == "commit" else producer.abort_transaction())
