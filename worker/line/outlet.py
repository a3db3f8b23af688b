"""Where answers go out: the topics that can be written, the room for what is under way, and producers to replace."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable

from worker.kafka import clients as kafka
from worker.kafka import facts
from worker.observability.logs import logger
from worker.settings import Settings

log = logger(__name__)

KNOWN_SECONDS, MISSING_SECONDS, FAILED_SECONDS = 30.0, 5.0, 30.0
"""How long a topic counts as usable once it was seen, as missing, and as broken once answers got lost there, s."""
TOPICS_KNOWN_MAX = 10_000
TOPICS_OF_PRODUCER_MAX = 200
"""A producer asks about all topics that it ever wrote to, again and again; it is replaced when they are so many."""


class ReplyTopics:
    """Which of the topics that queries name can be written. Asking creates none, and waits for none."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[str, tuple[str | None, float]] = {}

    async def unusable(
        self, producer: kafka.AIOKafkaProducer, settings: Settings, names: Iterable[str]
    ) -> dict[str, str]:
        """Those of the topics that can't be written now, with the reason; raises Unavailable."""
        now = self._clock()
        names = set(names)
        if unknown := sorted(name for name in names if self._known.get(name, (None, 0.0))[1] <= now):
            reasons = await facts.unwritable(producer, settings, unknown)
            if len(self._known) > TOPICS_KNOWN_MAX:
                self._known.clear()
            for name in unknown:
                reason = reasons.get(name)
                self._known[name] = (reason, now + (MISSING_SECONDS if reason else KNOWN_SECONDS))
                if reason:
                    log.warning("queries name a topic that can't be written", topic=name, reason=reason)
        return {name: reason for name in names if (reason := self._known.get(name, (None, 0.0))[0])}

    def failed(self, name: str, reason: str) -> None:
        """Answers did not get there: nobody waits for that topic again for a while."""
        self._known[name] = (reason, self._clock() + FAILED_SECONDS)


class Room:
    """Bytes under way at once; what is larger than all of it goes alone."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max, self._taken = bytes_max, 0
        self._changed = asyncio.Event()

    async def take(self, size: int) -> None:
        """Wait until there is room."""
        while self._taken and self._taken + size > self._bytes_max:
            self._changed.clear()
            await self._changed.wait()
        self._taken += size

    def give(self, size: int) -> None:
        """The bytes are no longer under way."""
        self._taken -= size
        self._changed.set()


class Outlet:
    """A producer that several deliveries use; after a failure it takes no more, and ends with the last of them.

    What it still had to send is dropped then: numbers that a refused batch has used up would spoil those after it.
    """

    def __init__(self, producer: kafka.AIOKafkaProducer) -> None:
        self.producer = producer
        self.is_spent = False
        self._topics: set[str] = set()
        self._users = 0

    @contextlib.asynccontextmanager
    async def used(self, *topics: str) -> AsyncIterator[kafka.AIOKafkaProducer]:
        """Use the producer, to send to these topics or to ask something; it is not closed meanwhile.

        Who gets an outlet that is not spent has to begin this in the same step of the event loop.
        """
        self._topics.update(topics)
        self.is_spent = self.is_spent or len(self._topics) > TOPICS_OF_PRODUCER_MAX
        self._users += 1
        try:
            yield self.producer
        except BaseException:
            self.is_spent = True
            raise
        finally:
            self._users -= 1
            if self.is_spent:
                await self.close_unused()

    async def close_unused(self) -> None:
        """Close the producer unless a delivery still uses it."""
        if not self._users:
            await kafka.cut_off(self.producer)
