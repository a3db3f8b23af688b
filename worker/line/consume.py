"""Reads commands: whatever one poll brings becomes batches for the lanes.

Kafka's group says which partitions are ours, PostgreSQL says where to go on in each. A partition that was just given to
us is paused until its position is known, and records that were handed out before that are dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from schemas.cut import size_of
from schemas.decode import Refusal, decode
from schemas.rejections import RejectionCode
from schemas.topics import Topic, topic_name
from worker.errors import Unavailable
from worker.kafka.clients import (
    AIOKafkaConsumer,
    ConsumerRebalanceListener,
    KafkaError,
    TopicPartition,
    abandon,
    bounded,
    has_left_for_good,
    translated,
)
from worker.kafka.fetched import Budget, hold
from worker.line.assignment import Assignment, Held
from worker.line.batch import Batch, Received, Span
from worker.line.lanes import Lane, Lanes
from worker.line.poll import Poll, Records
from worker.line.positions import acquire, bounds, judge
from worker.line.unreadable import Stops
from worker.observability import metrics
from worker.observability.logs import logger
from worker.observability.progress import Watch
from worker.postgres.session import Session
from worker.settings import Settings

log = logger(__name__)

CONSUMED = (Topic.SEGMENT_COMMANDS, Topic.MEMBERSHIP_COMMANDS, Topic.REPORT_COMMANDS, Topic.IMPORT_COMMANDS)
REVOKE_SECONDS_MAX = 15.0
"""So long a rebalance waits for the batches in hand; after that they are fenced by their new owner."""
RETRY_SECONDS = 0.5
HALTED_SECONDS = 5.0
"""How often a halted partition is looked at again."""
ADVANCE_SECONDS = 10.0
"""How often positions are moved over what is no record: transaction markers, and what compaction removed."""


class Consumer(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka has no types
    """Reads records and hands them to the lanes as batches."""

    def __init__(
        self,
        settings: Settings,
        consumer: AIOKafkaConsumer,
        session: Session,
        lanes: Lanes,
        assignment: Assignment,
        watch: Watch,
    ) -> None:
        self._settings, self._consumer, self._session = settings, consumer, session
        self._lanes, self._assignment = lanes, assignment
        self._beat = watch.beat
        self.topics = {topic_name(settings.topic_prefix, topic): topic for topic in CONSUMED}
        self._segment_topic = topic_name(settings.topic_prefix, Topic.SEGMENT_COMMANDS)
        self._retry_at = self._look_at = self._advance_at = 0.0
        self.stopping = asyncio.Event()
        self._budget = Budget(settings.batch_bytes_max, settings.record_bytes_max)
        self._stops = Stops(assignment)
        self._poll = Poll(
            settings,
            consumer,
            lanes,
            assignment,
            segment_topic=self._segment_topic,
            stopping=self.stopping,
            beat=self._beat,
            budget=self._budget,
        )

    async def run(self) -> None:
        """Read until `stopping` is set, then settle what is in hand and leave the group.

        The client is started before it subscribes: with a subscription its start would wait for the group, and so for
        the sessions of members that died.
        """
        try:
            with translated(self._settings):
                await bounded(self._consumer.start(), self._settings.kafka_seconds_max)
            hold(self._consumer, self._budget)
            self._consumer.subscribe(list(self.topics), listener=self)
            while not self.stopping.is_set():
                self._beat()
                await self._turn()
            await self._lanes.all_idle()
        finally:
            await abandon(self._consumer.stop())
            await self._session.close()

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Finish the batches in hand, as far as time allows; the next owner's epoch makes the others fail."""
        try:
            async with asyncio.timeout(REVOKE_SECONDS_MAX):
                await self._lanes.all_idle()
        except TimeoutError:
            log.warning("partitions were revoked with batches in hand")
        self._assignment.take(revoked)
        self._assignment.has_share = False

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Pause them before anything else: records can be handed out before this has ended."""
        partitions = list(assigned)
        self._consumer.pause(*partitions)
        self._assignment.give(partitions)
        self._assignment.joined = self._assignment.has_share = True
        self._retry_at = 0.0
        metrics.REBALANCES.inc()
        log.info("partitions assigned", count=len(partitions))

    def unsettle(self, batch: Batch) -> None:
        """The batch was dropped: its partitions are read again from where PostgreSQL says, if they are still ours."""
        self._pause(self._assignment.unsettle(batch))

    async def _turn(self) -> None:
        """Acquire what is wanted, then one poll, then the batches of what it brought."""
        loop = asyncio.get_running_loop()
        await self._acquire_in_time(loop.time())
        records, error = await self._poll()
        if records:
            await self._dispatch(await self._accept(records))
        self._pause(self._stops.note(self._budget.unreadable))
        for partition, problem in self._stops.due():
            self._halt(partition, problem)
        if error is not None:
            await self._recover(error, is_to_wait=not records)
        elif loop.time() >= self._advance_at:
            self._advance_at = loop.time() + ADVANCE_SECONDS
            await self._advance()

    async def _recover(self, error: KafkaError | OSError, *, is_to_wait: bool) -> None:
        """Go on after what was taken: an error may have kept the client from handing out what it has gone over."""
        metrics.RETRIES.labels("consume").inc()
        log.warning("reading failed, trying again", error=str(error) or type(error).__name__)
        if has_left_for_good(self._consumer):
            raise Unavailable(f"Kafka's client has left the group and does not come back: {error}") from error
        for partition in self._consumer.assignment():
            held = self._assignment.held.get(partition)
            if held is not None:
                self._consumer.seek(partition, held.next_offset)
        if is_to_wait:
            await asyncio.sleep(RETRY_SECONDS)

    async def _acquire_in_time(self, now: float) -> None:
        """Positions that are wanted are asked for at once and often; halted partitions are looked at now and then."""
        if self._assignment.wanted and now >= self._retry_at:
            self._retry_at = now + RETRY_SECONDS
            await self._acquire(self._assignment.wanted)
        if self._assignment.halted and now >= self._look_at:
            self._look_at = now + HALTED_SECONDS
            await self._acquire(self._assignment.halted)

    async def _acquire(self, partitions: Iterable[TopicPartition]) -> None:
        assignment = self._assignment
        try:
            found = await acquire(self._session, self._consumer, self._settings, sorted(partitions))
        except Unavailable as error:
            metrics.RETRIES.labels("acquire").inc()
            log.warning("positions can't be read, trying again", error=str(error))
            return
        assigned = self._consumer.assignment()
        ready = []
        for position in found:
            partition = position.partition
            if partition not in assigned or partition not in assignment.wanted | assignment.halted.keys():
                continue  # taken away while we asked
            problem = position.problem or self._stops.problem(partition, position.next_offset)
            if problem:
                self._halt(partition, problem)
                continue
            self._consumer.seek(partition, position.next_offset)
            assignment.hold(partition, position.epoch, position.next_offset, position.topic_id)
            ready.append(partition)
        self._consumer.resume(*ready)  # all at once: the first fetch asks for the segments' commands too

    def _halt(self, partition: TopicPartition, problem: str) -> None:
        self._pause([partition])
        if self._assignment.halted.get(partition) != problem:
            log.error("partition halted", problem=problem)
        self._assignment.halt(partition, problem)

    def _pause(self, partitions: Iterable[TopicPartition]) -> None:
        """Have nothing fetched of these, as far as the group has not taken them away in the meantime."""
        self._consumer.pause(*self._consumer.assignment().intersection(partitions))

    async def _accept(self, polled: Records) -> Records:
        """The records that belong to held partitions and continue what was read before; gaps are looked into."""
        accepted = {}
        for partition, records in polled.items():
            held = self._assignment.held.get(partition)
            if held is None or not records:
                continue  # handed out before its position was known: it comes again
            if records[0].offset < held.next_offset:
                self._assignment.give([partition])
                self._pause([partition])
                continue
            if records[-1].offset - held.next_offset + 1 != len(records) and not await self._is_whole(partition):
                continue
            accepted[partition] = records
        return {partition: records for partition, records in accepted.items() if partition in self._assignment.held}

    async def _is_gone_over(self, partition: TopicPartition, held: Held) -> bool:
        """Whether what the client has gone over is no record: it also goes to the log's beginning by itself, over what
        retention has removed, and says nothing of it."""
        return await self._is_whole(partition) and self._assignment.held.get(partition) is held

    async def _is_whole(self, partition: TopicPartition) -> bool:
        """Whether a gap in the offsets is harmless (transaction markers, compaction) and not retention's work."""
        try:
            begins, ends = await bounds(self._consumer, self._settings, [partition])
        except Unavailable:
            if partition in self._assignment.held:
                self._assignment.give([partition])
                self._pause([partition])
            return False
        held = self._assignment.held.get(partition)
        if held is None:  # taken away while we asked
            return False
        problem = judge(partition, held.next_offset, begins[partition], max(ends[partition], held.next_offset))
        if problem:
            self._halt(partition, problem)
        return problem is None

    async def _dispatch(self, accepted: Records) -> None:
        """Batches for the lanes; with segment commands all of it is one batch, applied alone."""
        if any(partition.topic == self._segment_topic for partition in accepted):
            await self._lanes.all_idle()
            batch = self._batch(accepted)
            if batch is not None:
                await self._lanes.put_alone(batch)
            return
        shares: dict[Lane, Records] = {}
        for partition, records in accepted.items():
            shares.setdefault(self._lanes.of(self._assignment.held[partition]), {})[partition] = records
        for lane, share in shares.items():
            batch = self._batch(share)
            if batch is not None:
                await self._lanes.put(batch, lane)

    def _batch(self, share: Records) -> Batch | None:
        """Decode a share of the poll; the partitions may have been taken away meanwhile."""
        received: list[Received] = []
        spans: list[Span] = []
        bytes_max = self._settings.record_bytes_max
        for partition in sorted(share, key=lambda p: (p.topic != self._segment_topic, p)):
            held, records = self._assignment.held.get(partition), share[partition]
            if held is None:
                continue
            topic, end = self.topics[partition.topic], records[-1].offset + 1
            for record in records:
                what = decode(record.value, record.headers, record.key, topic, record.timestamp, bytes_max)
                if isinstance(what, Refusal) and what.code is RejectionCode.FAILED:
                    log.error(
                        "a record could not be judged",
                        topic=record.topic,
                        partition=record.partition,
                        offset=record.offset,
                        error=what.message,
                    )
                size = size_of(record.value) or 0
                place = (partition.topic, partition.partition, record.offset)
                received.append(Received(*place, record.key, record.value, size, what))
            spans.append(Span(partition.topic, partition.partition, held.epoch, held.next_offset, end))
            held.next_offset, held.newest_ms = end, records[-1].timestamp
        return Batch(tuple(received), tuple(spans)) if spans else None

    async def _advance(self) -> None:
        """Move positions over offsets that hold no record, in partitions of which all that was read is applied."""
        for partition in self._consumer.assignment():
            held = self._assignment.held.get(partition)
            if held is None or held.applied_offset != held.next_offset:
                continue
            try:
                with translated(self._settings):
                    at = await bounded(self._consumer.position(partition), self._settings.kafka_seconds_max)
            except Unavailable as error:
                log.debug("a position is not known yet", error=str(error))
                continue
            if self._assignment.held.get(partition) is not held:
                continue
            if at < held.next_offset:  # the log ends before the position: read anew where to go on
                self._assignment.give([partition])
                self._pause([partition])
            elif at > held.next_offset and await self._is_gone_over(partition, held):
                span = Span(partition.topic, partition.partition, held.epoch, held.next_offset, at)
                held.next_offset = at
                await self._lanes.put(Batch((), (span,)), self._lanes.of(held))
