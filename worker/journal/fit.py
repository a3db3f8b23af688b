"""What is done where a topic takes smaller records than it should: events are shortened by rule, and say so.

`segmentation topics` and each start check `max.message.bytes`; somebody may lower it afterwards. A single event that
is too large for its topic would hold up all others, so it goes without some of its items, which it counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import orjson

from worker.journal.encode import Event
from worker.journal.state import Outgoing
from worker.kafka import clients as kafka
from worker.kafka import facts
from worker.observability import metrics
from worker.observability.logs import logger
from worker.settings import Settings

log = logger(__name__)

ENOUGH_BYTES = kafka.EVENT_BYTES_MAX + kafka.PRODUCE_BATCH_BYTES
"""A topic that takes so much takes any event."""
SHORTENED_BYTES_MIN = 64 * 1024
"""No event is made smaller than this: a topic that takes less than so much is a mistake, and its events wait, whole."""
FRAME_BYTES = 512
"""What a record and its batch add to the event and its key, at most, bytes."""
ASK_SECONDS = 60.0
"""How often topics that take too little are asked about again."""
MEMBERSHIP_LISTS = ("unchanged", "renewed", "exited", "entered")
"""In the order in which they are cut, each at its end."""
LISTS = {
    "segmentation.membership.changed.v1": MEMBERSHIP_LISTS,
    "segmentation.command.rejected.v1": ("errors",),
    "segmentation.import.completed.v1": ("unknown_sample",),
}
COUNTED = frozenset({"segmentation.membership.changed.v1", "segmentation.command.rejected.v1"})
"""Events whose `omitted` counts what their lists lack."""


class Limits:
    """The topics of events that take too little, and how much, as the brokers tell it."""

    def __init__(self, settings: Settings, topics: Iterable[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._settings, self._topics, self._clock = settings, sorted(topics), clock
        self._asked_at: float | None = None
        self.bytes_max: dict[str, int] = {}

    async def ask(self, producer: kafka.AIOKafkaProducer) -> None:
        """Ask a broker, the first time and again where a topic may have been mended meanwhile.

        What it does not let us see counts as enough. Raises Unavailable.
        """
        if not self._is_to_ask():
            return
        found = await facts.batch_bytes_max(producer, self._settings, self._topics)
        self._asked_at = self._clock()
        self.bytes_max = {topic: size for topic, size in found.items() if size < ENOUGH_BYTES}
        if self.bytes_max:
            log.warning("topics take smaller records than they should: run `segmentation topics`", **self.bytes_max)

    def _is_to_ask(self) -> bool:
        return self._asked_at is None or (bool(self.bytes_max) and self._clock() - self._asked_at > ASK_SECONDS)


def fitted(records: Sequence[Outgoing], bytes_max: Mapping[str, int]) -> Sequence[Outgoing]:
    """The events and states, those shortened that their topics do not take as they are."""
    if not bytes_max:
        return records
    found: list[Outgoing] = []
    sequences = []
    for record in records:
        limit = max(SHORTENED_BYTES_MIN, bytes_max.get(record.topic, ENOUGH_BYTES))
        limit -= FRAME_BYTES + len(record.key or b"")
        value = record.value
        if value is None or len(value) <= limit:
            found.append(record)
            continue
        value = shortened(value, limit) if isinstance(record, Event) else shortened_state(value, limit)
        found.append(record._replace(value=value))
        sequences.append(record.sequence)
    if sequences:
        metrics.RELAY_SHORTENED.inc(len(sequences))
        first, last, count = sequences[0], sequences[-1], len(sequences)
        log.warning("events were shortened to what their topics take", count=count, first=first, last=last)
    return found


def shortened(value: bytes, bytes_max: int) -> bytes:
    """The event without as many items, from the ends of its lists, as it takes; larger still where that is not enough.

    A refused record goes first: it can be had from the topic where it came from.
    """
    event = orjson.loads(value)
    data, excess = event["data"], len(value) - bytes_max
    if data.get("record"):
        excess -= _cut_record(data, excess)
    omitted = 0
    if event["type"] in COUNTED and excess > 0:
        excess += len(b',"omitted":') + len(str(_count(data, event["type"])))
    for name in LISTS.get(event["type"], ()):
        while excess > 0 and data[name]:
            excess -= len(orjson.dumps(data[name].pop())) + 1
            omitted += 1
    if omitted and event["type"] in COUNTED:
        data["omitted"] = data.get("omitted", 0) + omitted
    return orjson.dumps(event)


def shortened_state(value: bytes, bytes_max: int) -> bytes:
    """The user's state without as many segments, from its end, as it takes; `omitted` counts them."""
    state = orjson.loads(value)
    excess, segments = len(value) + len(b',"omitted":') + len(str(len(value))) - bytes_max, state["segments"]
    count = len(segments)
    while excess > 0 and segments:
        excess -= len(orjson.dumps(segments.pop())) + 1
    state["omitted"] = state.get("omitted", 0) + count - len(segments)
    return orjson.dumps(state)


def _cut_record(data: dict[str, Any], excess: int) -> int:
    """Shorten the record by so many characters, or to nothing; returns by how many it was."""
    before = data["record"]
    kept = max(0, len(before) - excess)
    data["record"] = before[: kept // 4 * 4]  # four characters of base64 are three bytes
    return len(before) - len(data["record"])


def _count(data: dict[str, Any], type_: str) -> int:
    return int(data.get("omitted", 0)) + sum(len(data[name]) for name in LISTS[type_])
