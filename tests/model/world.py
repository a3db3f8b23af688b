"""The worker's middle, from decoded records to events, over a real database, with the clock in the test's hand."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4
from zlib import crc32

import asyncpg
import orjson
import pytest

from schemas.commands import COMMANDS
from schemas.decode import decode
from schemas.producer import new_command
from schemas.topics import Topic, topic_name
from tests.model.compare import Reader
from tests.model.happened import Event
from tests.model.lists import ABANDONED_AFTER, Reached
from tests.model.mortal import Mortal
from tests.model.relaying import Relaying
from tests.model.strategies import START, Garbage, Meet, Sent, Work
from worker.errors import Fenced, Unavailable
from worker.jobs.deletion import Deletion
from worker.jobs.expiry import Expiry
from worker.jobs.imports import Imports
from worker.jobs.job import Job
from worker.jobs.retention import Retention
from worker.jobs.rollout import Rollout
from worker.jobs.tally import Tally
from worker.journal.encode import Encoder
from worker.line.apply import Applier, Outcome
from worker.line.batch import Batch, Received, Span
from worker.postgres.session import Database
from worker.settings import Settings

PARTITIONS = 2
SENT_AT = START - timedelta(seconds=1)
SOURCE = "/story"
BYTES_MAX = 65_536
WINDOW = timedelta(seconds=60)
"""So long commands' names are remembered."""
TURNS_MAX = 50


@dataclass
class World:
    """Two lanes, the journal's reader, and the one that ends deleted segments' memberships."""

    settings: Settings
    now: datetime = START
    offsets: dict[tuple[str, int], int] = field(default_factory=dict)
    epoch: int = 0
    sequence: int = 0
    reader: Reader = field(default_factory=Reader)
    journaled: list[Event] = field(default_factory=list)
    """All events, the first with the sequence 1."""

    async def __aenter__(self) -> World:
        database = Database(self.settings)
        self.sessions = [Mortal.of(database, f"lane {number}") for number in range(PARTITIONS)]
        self.leading = [Mortal.of(database, f"leader {number}") for number in range(2)]
        self.appliers = [
            Applier(session, self.settings, clock=lambda: self.now, new_uuid=uuid4) for session in self.sessions
        ]
        self.rollout, self.expiry, self.deletion = self.jobs()
        self.retention = Retention(lambda: self.now, WINDOW, timedelta(days=365))
        self.looking = database.session("looking")
        self.tally = Tally(database.session("tally"))
        self.tally._size.rows = self.tally._size._rows_max = 3
        self.encoder = Encoder(self.looking, self.settings, "test")
        self.relaying = Relaying(self.settings, lambda: self.now, lambda: self.sequence)
        prefix = self.settings.topic_prefix
        for topic in (Topic.SEGMENT_COMMANDS, Topic.MEMBERSHIP_COMMANDS, Topic.IMPORT_COMMANDS):
            for partition in range(PARTITIONS):
                self.offsets[topic_name(prefix, topic), partition] = 0
        places = sorted(self.offsets)
        topics, partitions = [place[0] for place in places], [place[1] for place in places]
        await self.looking.fetch("positions_acquire", topics, partitions, [None] * len(places))
        zeros = [0] * len(places)
        await self.looking.fetch("positions_begin", topics, partitions, zeros, zeros)
        return self

    async def __aexit__(self, *_: object) -> None:
        for session in (*self.sessions, *self.leading, self.looking):
            await session.close()
        await self.relaying.close()

    def jobs(self) -> tuple[Rollout, Expiry, Deletion]:
        """As a process makes them that is elected; rollouts take two users a turn."""
        rollout = Rollout(lambda: self.now)
        rollout._size.rows = rollout._size._rows_max = 2
        return rollout, Expiry(lambda: self.now), Deletion(lambda: self.now)

    def received(self, record: Sent | Garbage) -> tuple[Topic, Received]:
        """The record as it comes from Kafka, at the end of its partition."""
        headers: tuple[tuple[str, bytes], ...]
        if isinstance(record, Garbage):
            topic, key, value, headers = Topic.MEMBERSHIP_COMMANDS, b"g", record.value, ()
        else:
            data = dict(record.data)
            if "add" in data:
                data["add"] = [_item(segment, until) for segment, until in data["add"]]
            if "expires_at" in data:
                data["expires_at"] = data["expires_at"].isoformat()
            made = new_command(
                record.type, data, source=SOURCE, id=record.id, time=SENT_AT, effectiveat=record.at, place=record.place
            )
            topic = record.place.topic if record.place else COMMANDS[record.type].topic
            key, value, headers = made.key, made.value, made.headers
            if not record.timed:
                value = orjson.dumps({name: item for name, item in orjson.loads(value).items() if name != "time"})
        place = (topic_name(self.settings.topic_prefix, topic), crc32(key) % PARTITIONS)
        offset = self.offsets[place]
        self.offsets[place] = offset + 1
        what = decode(value, headers, key, topic, int(self.now.timestamp() * 1000), BYTES_MAX)
        return topic, Received(*place, offset, key, value, len(value or b""), what)

    async def deliver(self, records: Sequence[Received], *, together: bool, lane: int = 0) -> list[Outcome]:
        """Apply them as one batch, or each partition's at the same time as the others'."""
        if together:
            return [await self.appliers[lane].apply(_batch(records, self.epoch))]
        shares = [[record for record in records if record.partition == lane] for lane in range(PARTITIONS)]
        applying = [
            applier.apply(_batch(share, self.epoch))
            for applier, share in zip(self.appliers, shares, strict=True)
            if share
        ]
        return list(await asyncio.gather(*applying))

    async def meet(self, records: Sequence[Received], meeting: Meet) -> None:
        """Apply a batch beside jobs, with the ends that are foreseen."""
        for session, end in zip((self.sessions[0], *self.leading), meeting.ends, strict=True):
            session.ends_after = end
        sides = [self._lead(*side) for side in zip(self.leading, meeting.leaders, strict=False)]
        await asyncio.gather(self._deliver_once(records), *sides)
        for session in (self.sessions[0], *self.leading):
            session.ends_after = None

    async def _deliver_once(self, records: Sequence[Received]) -> None:
        """As a lane does it; where nobody knows whether it was, the next owner reads the positions, and finds out."""
        batch = _batch(records, self.epoch)
        try:
            await self.appliers[0].apply(batch)
        except Fenced:
            topics, partitions = [span.topic for span in batch.spans], [span.partition for span in batch.spans]
            places, no_ids = zip(*sorted(self.offsets), strict=True), [None] * len(self.offsets)
            rows = await self.sessions[1].fetch("positions_acquire", *places, no_ids)
            self.epoch += 1
            at = {(row["topic"], row["partition"]): row["next_offset"] for row in rows}
            assert {row["epoch"] for row in rows} == {self.epoch}
            with pytest.raises(Fenced):
                await self.appliers[0].apply(batch)
            undone = [record for record in records if record.offset >= at[record.topic, record.partition]]
            assert len(undone) in (0, len(records)), (topics, partitions)
            if undone:
                await self.appliers[1].apply(_batch(undone, self.epoch))

    async def _lead(self, session: Mortal, names: Sequence[str]) -> None:
        """Turns of these jobs; where the session ends, another process goes on."""
        for name in names:
            job = self._job(name)
            for _ in range(TURNS_MAX):
                try:
                    if await job.turn(session) is None:
                        break
                except Unavailable:
                    job = self._job(name)

    def _job(self, name: str) -> Job:
        rollout, expiry, deletion = self.jobs()
        return {"roll out": rollout, "expire": expiry, "sweep": deletion}[name]

    async def work(self, connection: asyncpg.Connection[asyncpg.Record], work: Work) -> list[tuple[str, Reached]]:
        """Imports go on; those that did, in the order in which they are applied, and how far they are now."""
        before = dict(await _reached(connection))
        processes = list(zip(self.leading, work.ends, strict=False))
        for session, end in processes:
            session.ends_after = end
        await asyncio.gather(*(self._work(session, work.turns) for session, _ in processes))
        for session, _ in processes:
            session.ends_after = None
        return [(name, reached) for name, reached in await _reached(connection) if before[name] != reached]

    async def _work(self, session: Mortal, turns: int) -> None:
        job = self._imports()
        for _ in range(turns):
            try:
                if await job.turn(session) is None:
                    break
            except Unavailable:
                job = self._imports()

    def _imports(self) -> Imports:
        job = Imports(lambda: self.now, ABANDONED_AFTER, self.settings.segments_of_user_max)
        job._size.rows = job._size._rows_max = 2
        job._keys.rows = job._keys._rows_max = 2
        return job

    async def retain(self) -> None:
        """Forget old names."""
        while await self.retention.turn(self.looking) is not None:
            pass

    async def tell(self) -> None:
        """Add up what was journaled by now."""
        while not (await self.looking.row("tally_behind"))["is_begun"]:
            await self.tally.turn(self.looking)
            await asyncio.sleep(0.001)
        while await self.tally.turn(self.looking) is not None:
            pass

    async def sweep(self) -> None:
        """End the memberships of deleted segments, as far as there are any."""
        while await self.deletion.turn(self.looking) is not None:
            pass

    async def expire(self) -> None:
        """End what is over."""
        while await self.expiry.turn(self.looking) is not None:
            pass

    async def roll_out(self, connection: asyncpg.Connection[asyncpg.Record]) -> tuple[str, list[str], bool] | None:
        """One turn: the segment's id, the users that it decided, and whether that was all; None with nothing to do."""
        waiting = await self.looking.fetch("rollouts_next")
        if not waiting:
            return None
        look = (
            "select s.segment_id::text, r.next_user_key, r.finished_at is not null as is_done"
            " from rollouts r join segments s using (segment_key) where segment_key = $1"
        )
        before = await connection.fetchrow(look, waiting[0]["segment_key"])
        await self.rollout.turn(self.looking)
        after = await connection.fetchrow(look, waiting[0]["segment_key"])
        assert before is not None
        assert after is not None
        users = await connection.fetch(
            "select user_id from users where user_key > $1 and user_key <= $2 order by user_key",
            before["next_user_key"],
            after["next_user_key"],
        )
        return before["segment_id"], [row["user_id"] for row in users], after["is_done"]

    async def events(self) -> list[Event]:
        """What was journaled since the last call, encoded as the relay does it."""
        begin = datetime.min.replace(tzinfo=START.tzinfo)
        rows = await self.looking.fetch("journal_read", self.sequence, begin, 10**6, 10**9)
        assert [row["sequence"] for row in rows] == list(range(self.sequence + 1, self.sequence + 1 + len(rows)))
        self.sequence += len(rows)
        encoded = await self.encoder.encode(rows)
        self.reader.learn(event.value for event in encoded)
        events = [self.reader.read(event.value, event.key) for event in encoded]
        self.journaled += events
        return events


async def _reached(connection: asyncpg.Connection[asyncpg.Record]) -> list[tuple[str, Reached]]:
    rows = await connection.fetch(
        "select import, state::text, next_user_id, next_user_key from imports order by committed_at, import_key"
    )
    return [(row["import"], Reached(row["state"], row["next_user_id"], row["next_user_key"])) for row in rows]


def told(record: Sent) -> dict[str, Any]:
    """The command in the naive model's form."""
    return vars(record) | {"source": SOURCE, "time": SENT_AT if record.timed else None}


def _item(segment: str, until: datetime | None) -> Any:
    return segment if until is None else {"segment": segment, "expires_at": until.isoformat()}


def _batch(records: Sequence[Received], epoch: int) -> Batch:
    ordered = sorted(records, key=lambda record: (not record.topic.endswith("segment-commands"), record[:3]))
    begins: dict[tuple[str, int], int] = {}
    ends: dict[tuple[str, int], int] = {}
    for record in ordered:
        begins.setdefault((record.topic, record.partition), record.offset)
        ends[record.topic, record.partition] = record.offset + 1
    spans = tuple(Span(*place, epoch, begins[place], ends[place]) for place in sorted(begins))
    return Batch(tuple(ordered), spans)
