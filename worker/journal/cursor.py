"""How far the relay is, as Kafka holds it, and whether the journal is still the one that was published up to there."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Literal, NamedTuple

import orjson

from worker.errors import RelayHalted
from worker.kafka import clients as kafka
from worker.kafka.ranges import Range, read_back
from worker.postgres.session import Record, Session
from worker.settings import Settings

Stage = Literal["earlier", "users", "done"]


class Place(NamedTuple):
    """How far a snapshot of all states is, and that the states after it were kept up to date ever since.

    First the users that the topic tells of from earlier on, then all who are in a segment, up to the key `after`.
    """

    snapshot: int
    stage: Stage = "earlier"
    after: int = 0
    users: int = 0
    """So many states were written by it."""


class Settled(NamedTuple):
    """Up to where Kafka has ended all transactions of the relay."""

    sequence: int
    place: Place | None = None


class Cursor(NamedTuple):
    """The last row that was published. `row` is its fingerprint, None where it is not known."""

    sequence: int = 0
    row: str | None = None
    place: Place | None = None
    """None while the topic of states is switched off, and so whenever it was since the last snapshot."""
    settled: Settled | None = None
    """Up to where all can be read for good; None where the version that wrote it did not look."""
    again: int = 0
    """Up to this number rows are published again, as a person wanted it, though they can be read."""

    @property
    def known(self) -> Settled:
        """Up to where all can be read for good, or is taken for that."""
        return self.settled or Settled(self.sequence, self.place)

    @property
    def is_settled(self) -> bool:
        """Whether that is where it stands itself."""
        return self.known == (self.sequence, self.place)


@dataclass(frozen=True, slots=True)
class Places:
    """What PostgreSQL and Kafka say about how far the relay is."""

    noted: int
    """The number up to which PostgreSQL has noted that it was published."""
    committed: Cursor
    """The last row that Kafka holds."""
    head: int
    """The last number that the journal has given out."""
    oldest: int | None
    """The first row that the journal still has; None where it has none."""
    is_same: bool
    """Whether the journal's row of that number is the one that was published; also true where nobody can tell."""


def fingerprint(row: Record) -> str:
    """Tells a row from another one that got the same number later, by nothing that may be forgotten some day."""
    text = f"{row['sequence']} {row['time'].isoformat()} {row['type']} {row['command_id'] or ''}"
    return blake2b(text.encode(), digest_size=12).hexdigest()


def encode(cursor: Cursor) -> bytes:
    """The value of a record of the positions topic."""
    parts: dict[str, Any] = {"sequence": cursor.sequence}
    if cursor.row:
        parts["row"] = cursor.row
    if cursor.place:
        parts["state"] = cursor.place._asdict()
    if cursor.settled:
        parts["settled"] = {"sequence": cursor.settled.sequence}
        if cursor.settled.place:
            parts["settled"]["state"] = cursor.settled.place._asdict()
    if cursor.again > cursor.sequence:
        parts["again"] = cursor.again
    return orjson.dumps(parts)


def decode(value: bytes) -> Cursor:
    """A cursor as it was written, also by a version that knew of no fingerprints or states."""
    found = orjson.loads(value)
    settled = Settled(int(found["settled"]["sequence"]), _place(found["settled"])) if "settled" in found else None
    return Cursor(int(found["sequence"]), found.get("row"), _place(found), settled, found.get("again", 0))


def _place(found: dict[str, Any]) -> Place | None:
    return Place(**found["state"]) if "state" in found else None


async def at(session: Session, sequence: int) -> Cursor:
    """The cursor that stands after the journal's row of that number, whether or not there is such a row."""
    rows = await session.fetch("journal_row", sequence)
    return Cursor(sequence, fingerprint(rows[0]) if rows else None)


async def places(session: Session, committed: Cursor | None) -> Places:
    """Where all stands; `committed` is what Kafka holds."""
    committed = committed or Cursor()
    row = await session.row("relay_read")
    known = (await at(session, committed.sequence)).row if committed.row else None
    return Places(
        noted=row["published_sequence"],
        committed=committed,
        head=row["head_sequence"],
        oldest=row["oldest_sequence"],
        is_same=committed.row is None or known is None or known == committed.row,
    )


def check(found: Places) -> None:
    """Raise RelayHalted, with the commands that resolve it, where Kafka and PostgreSQL contradict each other."""
    noted, committed, head = found.noted, found.committed.sequence, found.head
    if committed < noted:
        raise RelayHalted(
            f"Kafka holds events up to {committed}, but {noted} were published: Kafka has lost data, or this is "
            "another cluster. To publish the missing ones again: `segmentation reset relay --to kafka`; to go on after "
            "them: `segmentation reset relay --to database`"
        )
    if committed > head:
        raise RelayHalted(
            f"Kafka holds events up to {committed}, but the journal ends at {head}: the database was restored to an "
            "earlier state, or a replica without the last transactions has taken over, or it is another database. "
            f"{_ways_out(found)}"
        )
    if not found.is_same:
        raise RelayHalted(
            f"The journal's row {committed} is not the one that was published under this number: a replica without the "
            "last transactions has taken over, or the database was restored to an earlier state, and has given numbers "
            f"out again. {_ways_out(found)}"
        )


def _ways_out(found: Places) -> str:
    return (
        f"Restore a later state, if there is one. Else: `segmentation reset relay --to kafka` goes on after "
        f"{found.committed.sequence}, and what this database has journaled under numbers up to that is never "
        f"published; `segmentation reset relay --to database` goes on after {found.noted}, so nothing of this "
        "database's is left out, but subscribers see those numbers again, for other changes"
    )


async def gap(session: Session, sequence: int, first: int) -> RelayHalted:
    """Why the journal's rows after `sequence` and before `first` are not there."""
    oldest = (await session.row("relay_read"))["oldest_sequence"]
    missing = f"row {sequence + 1} is" if first == sequence + 2 else f"rows {sequence + 1} to {first - 1} are"
    if oldest == first:
        return RelayHalted(
            f"The journal's {missing} gone: retention has dropped what is older than {first}, so it can't be published "
            "any more. To go on after it: `segmentation reset relay --to kafka`"
        )
    return RelayHalted(
        f"The journal's {missing} missing, though it has older ones: somebody has deleted them, or the table is "
        f"damaged. Restore them, or go on without them: `segmentation reset relay --to {first - 1}`"
    )


async def last_cursor(
    settings: Settings, topic: str, isolation_level: Literal["read_committed", "read_uncommitted"] = "read_committed"
) -> Cursor | None:
    """The cursor that the last committed transaction wrote, or just the last transaction; None where none ever did."""
    place, seconds, found = kafka.TopicPartition(topic, 0), settings.kafka_seconds_max, list[bytes]()

    def take(_: kafka.TopicPartition, record: kafka.ConsumerRecord) -> None:
        if record.value is not None:
            found[:] = [record.value]

    with kafka.translated(settings):
        async with (
            asyncio.timeout(seconds),
            kafka.reading(settings, isolation_level=isolation_level) as consumer,
        ):
            begin = (await consumer.beginning_offsets([place]))[place]
            end = (await consumer.end_offsets([place]))[place]
            await read_back(consumer, {place: Range(begin, end)}, take, lambda _: bool(found), seconds)
    return decode(found[0]) if found else None
