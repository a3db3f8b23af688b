"""Watches the topics of commands while the worker runs: one that is deleted, created again, or has got partitions.

aiokafka learns of topics by name, and every half minute. A topic that was created again looks to it like the one
before, and may be longer, so that reading on would skip its first commands in silence.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Mapping

from worker.errors import Unavailable
from worker.kafka.clients import AIOKafkaConsumer, IllegalStateError
from worker.kafka.facts import TopicFacts, described, refresh_metadata
from worker.line.assignment import Assignment
from worker.observability.logs import logger
from worker.settings import Settings

log = logger(__name__)

LOOK_SECONDS = 2.0


class TopicWatch:
    """Looks every few seconds, over the consumer's own connections."""

    def __init__(
        self, settings: Settings, consumer: AIOKafkaConsumer, assignment: Assignment, topics: Collection[str]
    ) -> None:
        self._settings, self._consumer, self._assignment, self._topics = settings, consumer, assignment, topics

    async def run(self) -> None:
        """Look until cancelled; with Kafka away there is nothing to see."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                found = await described(self._consumer, self._settings, self._topics)
            except Unavailable as error:
                log.debug("the topics can't be looked at", error=str(error))
                continue
            self._note_missing(sorted(set(self._topics) - found.keys()))
            self._note_created_again(found)
            self._note_partitions(found)

    def _note_missing(self, missing: list[str]) -> None:
        if missing and missing != self._assignment.missing:
            log.error("topics are missing: run `segmentation topics`, then reset their positions", topics=missing)
        self._assignment.missing = missing

    def _note_created_again(self, found: Mapping[str, TopicFacts]) -> None:
        """Have the positions read anew, which halts what was applied from the topic before."""
        for partition, held in list(self._assignment.held.items()):
            facts = found.get(partition.topic)
            if facts is None or None in (facts.topic_id, held.topic_id) or facts.topic_id == held.topic_id:
                continue
            with contextlib.suppress(IllegalStateError):  # a rebalance has just taken it away
                self._consumer.pause(partition)
            self._assignment.give([partition])

    def _note_partitions(self, found: Mapping[str, TopicFacts]) -> None:
        """Have the group share out what was added, or is there again, now rather than at the next refresh."""
        for topic, facts in found.items():
            if len(self._consumer.partitions_for_topic(topic) or ()) != facts.partitions:
                refresh_metadata(self._consumer)
                return
