"""Where a producer's transactions have not come to an end though Kafka says that they have, and how they do.

A transaction is committed, or aborted, once its coordinator has noted so; each partition that it wrote to is told after
that. Brokers of Kafka 4 leave out a partition that no broker leads at that moment, as if it was deleted (KAFKA-20734):
a single broker that was killed and starts again does that to all of them. What was written there stays undecided, for
readers of what is committed it is not there, and nothing after it either, until the producer's next transaction on that
partition ends; and then it shares the fate of that one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from functools import partial
from typing import NamedTuple

from worker.kafka.clients import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from worker.kafka.facts import high_watermarks, is_leaderless, offsets

ASK_SECONDS_MAX = 2.0
"""Longest wait for the offsets of all partitions; after it each is asked for by itself."""
PAUSE_SECONDS, PAUSE_SECONDS_MAX = 0.002, 0.1
"""Between looks, at first and at most: mostly the partitions are told within milliseconds of the commit."""


class Span(NamedTuple):
    """Where readers of what is committed stop, and where the log ends: in between something has no end."""

    stable: int
    end: int


class Undecided(NamedTuple):
    """Partitions with something undecided, and those of which Kafka does not tell."""

    spans: dict[TopicPartition, Span]
    unknown: list[TopicPartition]

    @property
    def places(self) -> list[TopicPartition]:
        """Those with something undecided."""
        return sorted(self.spans)


async def undecided(consumer: AIOKafkaConsumer, places: Collection[TopicPartition]) -> Undecided:
    """Compare the last stable offsets with the high watermarks; the consumer reads what is committed.

    The watermarks come first, so what ends meanwhile does not count. Raises nothing where brokers are away.
    """
    asked = [place for place in places if not is_leaderless(consumer, place)]
    marks = await offsets(partial(high_watermarks, consumer), asked, ASK_SECONDS_MAX)
    stable = await offsets(consumer.end_offsets, list(marks), ASK_SECONDS_MAX)
    spans = {place: Span(stable[place], marks[place]) for place in stable if stable[place] < marks[place]}
    return Undecided(spans, [place for place in places if place not in stable])


async def wait_for_ends(consumer: AIOKafkaConsumer, places: Collection[TopicPartition], seconds: float) -> Undecided:
    """Wait until nothing is undecided, at most for so long; returns what still is then."""
    loop = asyncio.get_running_loop()
    until, pause = loop.time() + seconds, PAUSE_SECONDS
    while True:
        found = await undecided(consumer, places)
        if not found.spans or loop.time() >= until:
            return found
        await asyncio.sleep(pause)
        places, pause = [*found.spans, *found.unknown], min(2 * pause, PAUSE_SECONDS_MAX)


async def abort(producer: AIOKafkaProducer, places: Collection[TopicPartition]) -> None:
    """Have what the producer's predecessors left undecided there aborted, by a transaction that writes nothing.

    The producer has initialised its transactions, and none is open. Raises KafkaError.
    """
    await producer.begin_transaction()
    for place in places:
        producer._txn_manager.maybe_add_partition_to_txn(place)
    await producer.abort_transaction()
