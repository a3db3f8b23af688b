"""Bounds what a consumer holds of what it has fetched: records are taken by their bytes, and large batches in pieces.

aiokafka bounds a poll by the number of records alone, and decompresses each batch as a whole. What it fetches is
bounded by `fetch_max_bytes`, before decompression. All our consumers read batches as here: also such as aiokafka can't.
"""

from __future__ import annotations

import contextlib
import itertools
import struct
import sys
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.memory_records import MemoryRecords

from worker.kafka import streams, words

BATCH_BYTES_MAX = 8 * 1024 * 1024
"""A compressed batch that becomes larger is decompressed in pieces, bytes."""
UNLIMITED = streams.Limits(value_bytes_max=64 * 1024 * 1024, headers_max=sys.maxsize)
"""For a batch that is small anyway, or that is read as a whole."""
RECORD_BYTES_EXTRA = 200
"""What a record takes in memory beside its key and value, bytes."""
LENGTH, COUNT = struct.Struct(">i"), struct.Struct(">i")
LENGTH_AT, COUNT_AT, HEADER_BYTES = 8, 57, 61
"""Where a batch's header has its length, which counts from behind itself, and the number of its records; its size."""
MAGIC = 2


class Unreadable(NamedTuple):
    """A batch of which no (further) record can be read: its offsets from the first that is left, and why."""

    begin: int
    end: int
    reason: str

    def told(self, partition: TopicPartition) -> str:
        """Where it is and why, without a full stop."""
        last = self.end - 1
        offsets = f"offset {last}" if self.begin == last else f"offsets {self.begin} to {last}"
        name = f"{partition.topic}:{partition.partition}"
        return f"{name}: the batch of records with the {offsets} can't be read ({self.reason})"


class Budget:
    """How many bytes of records a poll may still bring; the record that goes beyond it is the last one.

    `unreadable` tells of partitions that can't be read on; whoever polls empties it, and fetches no more of them.
    """

    def __init__(self, bytes_max: int, value_bytes_max: int) -> None:
        self.bytes_max, self.value_bytes_max = bytes_max, value_bytes_max
        self.left = bytes_max
        self.unreadable: dict[TopicPartition, Unreadable] = {}

    def renew(self) -> None:
        """A new poll begins."""
        self.left = self.bytes_max


class Taking(fetcher.FetchResult):  # type: ignore[misc] # aiokafka has no types
    """What was fetched of a partition, taken out within the consumer's budget, if it has one.

    A consumer without one is told by an exception what can't be read, with its place.
    """

    budget: Budget | None = None
    _failure: CorruptRecordException | None = None

    @property
    def batches(self) -> Any:
        """What the records are read from."""
        return self._fetched._records

    @property
    def _fetched(self) -> Any:
        return self._partition_records

    def getall(self, max_records: int | None = None) -> list[Any]:
        """At most so many records, and at most the budget's bytes."""
        if self.budget is not None and self.budget.left <= 0:
            return []
        if not self.has_more() or not self.check_assignment(self._topic_partition):
            return []
        if self._failure is not None:
            self._partition_records = None
            raise self._failure
        found: list[Any] = []
        try:
            self._take(found, max_records)
        except Exception as error:  # noqa: BLE001 # whatever the bytes are, they stop this partition and no other
            self._give_up(error, is_first=not found)
        return found

    def _take(self, found: list[Any], max_records: int | None) -> None:
        budget = self.budget
        for record in self._fetched:
            found.append(record)
            if budget is not None:
                budget.left -= len(record.value or b"") + len(record.key or b"") + RECORD_BYTES_EXTRA
            if len(found) == max_records or (budget is not None and budget.left <= 0):
                self._update_position()
                return
        self._update_position()
        self._partition_records = None

    def _give_up(self, error: Exception, *, is_first: bool) -> None:
        """What can't be read is told after what can: the batch is fetched anew, or the next call raises."""
        unreadable = self._unreadable(error)
        if self.budget is None:
            self._update_position()
            self._failure = CorruptRecordException(
                f"{unreadable.told(self._topic_partition)}. Try again. If it stays so, the log of the partition's "
                "leader is damaged: have another replica lead it or, once nobody needs what stands up to there, remove "
                f"that by `kafka-delete-records.sh` with the offset {unreadable.end}"
            )
            self._failure.__cause__ = error
            return
        if is_first:
            self.budget.unreadable[self._topic_partition] = unreadable
        else:
            self._update_position()
        self._partition_records = None

    def _unreadable(self, error: Exception) -> Unreadable:
        begin, batch = self._fetched.next_fetch_offset, self.batches.last
        begin = begin if batch is None else max(begin, batch.base_offset)
        end = begin + 1 if batch is None else max(begin + 1, batch.next_offset)
        cause = error.__cause__ or error
        reason = words.CODE.sub("", str(cause)).removesuffix(f" - {self._topic_partition}")
        return Unreadable(begin, end, reason or type(cause).__name__)


class Results(OrderedDict[TopicPartition, Any]):
    """All that was fetched by one consumer."""

    def __init__(self, budget: Budget) -> None:
        super().__init__()
        self._budget = budget

    def __setitem__(self, partition: TopicPartition, result: Any) -> None:
        if isinstance(result, Taking):  # and no error of aiokafka's
            result.budget = self._budget
            if isinstance(result.batches, Batches):
                result.batches.value_bytes_max = self._budget.value_bytes_max
        super().__setitem__(partition, result)


class Batches:
    """The batches of one answer, in place of aiokafka's own reading of them."""

    value_bytes_max: int | None = None
    last: Batch | None = None
    """The one that was handed out last."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = memoryview(data), 0
        self._legacy = MemoryRecords(data) if len(data) > 16 and data[16] < MAGIC else None

    def size_in_bytes(self) -> int:
        """Of all of them, compressed."""
        return len(self._data)

    def has_next(self) -> bool:
        """Whether there is another whole one."""
        if self._legacy is not None:
            return bool(self._legacy.has_next())
        return self._at + HEADER_BYTES <= len(self._data) and self._end() <= len(self._data)

    def next_batch(self) -> Any:
        """The next one."""
        if self._legacy is not None:
            return self._legacy.next_batch()
        if not self.has_next():
            return None
        if self._end() - self._at < HEADER_BYTES:  # aiokafka would read beyond its end
            raise CorruptRecordException("a batch says that it is shorter than its header")
        data = self._data[self._at : self._end()]
        self._at += len(data)
        self.last = Batch(DefaultRecordBatch(data), data, self.value_bytes_max)
        return self.last

    def _end(self) -> int:
        (length,) = LENGTH.unpack_from(self._data, self._at + LENGTH_AT)
        return int(self._at + LENGTH_AT + LENGTH.size + length)


class Batch:
    """A batch that decompresses itself in pieces if it is large and there is a limit, and takes any header's name."""

    def __init__(self, batch: Any, data: memoryview, value_bytes_max: int | None) -> None:
        self._batch, self._data, self._value_bytes_max = batch, data, value_bytes_max

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        codec, value_bytes_max = self._batch.compression_type, self._value_bytes_max
        if codec == streams.NONE or value_bytes_max is None:
            return self._whole()
        with self._telling():
            if streams.is_small(codec, self._data[HEADER_BYTES:], BATCH_BYTES_MAX):
                return self._whole()
        return self._in_pieces(streams.Limits(value_bytes_max))

    def _whole(self) -> Iterator[Any]:
        """As aiokafka reads them; from where it can't, as we do, who take what Java's clients take."""
        done = 0
        try:
            for record in self._batch:
                yield record
                done += 1
        except streams.CORRUPT:  # by the compiled parser, or the decompression
            pass
        except CorruptRecordException as error:
            if not isinstance(error.__cause__, UnicodeDecodeError):
                raise
        else:
            return
        yield from itertools.islice(self._in_pieces(UNLIMITED), done, None)

    def _in_pieces(self, limits: streams.Limits) -> Iterator[Any]:
        (count,) = COUNT.unpack_from(self._data, COUNT_AT)
        with self._telling():
            yield from streams.records(self._batch, count, self._data[HEADER_BYTES:], limits)

    @contextlib.contextmanager
    def _telling(self) -> Iterator[None]:
        """What can't be decompressed or read, in the client's own words."""
        try:
            yield
        except streams.CORRUPT as error:
            at = self._batch.base_offset
            raise CorruptRecordException(f"the batch of records at offset {at} can't be read: {error}") from error


def hold(consumer: AIOKafkaConsumer, budget: Budget) -> None:
    """Hold a consumer to its budget, once it was started; those without one take as much as aiokafka has them take."""
    consumer._fetcher._records = Results(budget)
