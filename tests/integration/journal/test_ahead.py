"""While the relay writes, it reads on: in order, over a session of which everything else waits its turn."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from prometheus_client import REGISTRY

from tests.integration.journal.test_mistaken import BAD, GOOD, ROW
from tests.support.events import execute, rows
from tests.support.line import line, working
from tests.support.pages import shows, with_pages
from worker.journal.publisher import Publisher
from worker.journal.relay import Relay
from worker.journal.share import Share, Shares
from worker.settings import Settings

ROWS = 40
LOCKED = "select from pg_locks where relation = 'journal'::regclass and mode = 'AccessExclusiveLock' and granted"
END_OF_READING = """
begin;
lock table journal;
select pg_sleep(0.2), pg_terminate_backend(pid) from pg_stat_activity
where datname = current_database() and application_name like '%relay';
commit
"""


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rows that were written, each transaction once the next share was read; the last one is followed by none.

    A relay that reads on only when it has written would fail at each of them.
    """
    written: list[int] = []
    read = asyncio.Event()
    after, publish = Shares.after, Publisher.publish

    async def reads(shares: Shares, position: Any, **others: Any) -> Any:
        try:
            return await after(shares, position, **others)
        finally:
            read.set()

    async def publishes(publisher: Publisher, events: Any, cursor: bytes) -> None:
        numbers = [event.sequence for event in events]
        read.clear()
        if len(numbers) > 1 and numbers[-1] < ROWS:
            await asyncio.wait_for(read.wait(), 5)
        await publish(publisher, events, cursor)
        written.extend(numbers)

    monkeypatch.setattr(Shares, "after", reads)
    monkeypatch.setattr(Publisher, "publish", publishes)
    monkeypatch.setattr("worker.leadership.election.PING_SECONDS", 0.01)
    monkeypatch.setattr("worker.journal.relay.MARK_SECONDS", 0.0)
    return written


async def test_the_next_share_is_read_meanwhile(settings: Settings, topics: list[str], slow: list[int]) -> None:
    """Pings, notes and looks for undecided transactions share the session with it."""
    served = settings.model_copy(update={"relay_rows_max": 8})
    await _journal(served)
    async with line(served) as outside, working(served):
        said = await outside.until(lambda said: len(said) >= ROWS)
        assert [int(one.event["sequence"]) for one in said] == list(range(1, ROWS + 1))
        assert slow == list(range(1, ROWS + 1))
        while await rows(served, "select published_sequence as it from relay") != [{"it": ROWS}]:
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("ping_seconds", [0.001, 60.0])
async def test_everything_else_waits_for_it(
    settings: Settings, topics: list[str], monkeypatch: pytest.MonkeyPatch, ping_seconds: float
) -> None:
    """Reading takes longer than writing, here by locks on the journal: pings and notes have the session after it."""
    monkeypatch.setattr("worker.leadership.election.PING_SECONDS", ping_seconds)
    monkeypatch.setattr("worker.journal.relay.MARK_SECONDS", 0.0)
    served = settings.model_copy(update={"relay_rows_max": 8})
    await _journal(served)
    failures = _failures()
    async with line(served) as outside, working(served):
        for _ in range(10):
            await execute(served, "begin; lock table journal; select pg_sleep(0.1); commit")
        said = await outside.until(lambda said: len(said) >= ROWS)
    assert [int(one.event["sequence"]) for one in said] == list(range(1, ROWS + 1))
    assert _failures() == failures


async def test_what_fails_there_comes_after_what_was_written(
    settings: Settings, topics: list[str], slow: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row that can't be made an event is met while those before it are written, and is told when they are."""
    monkeypatch.setattr("worker.line.mirror.MIRROR_SECONDS", 0.01)
    monkeypatch.setattr("worker.journal.backlog.STALLED_SECONDS_MAX", 0.1)
    monkeypatch.setattr("worker.leadership.election.RETRY_SECONDS_MAX", 0.2)
    served = with_pages(settings, relay_rows_max=8)
    await _journal(served, bad=31)
    async with line(served) as outside, working(served):
        await shows(served, "/readyz", lambda status, text: status == 503 and "row 31 can't" in text)
        said = await outside.until(lambda said: len(said) >= 30)
        await execute(served, f"update journal set detail = '{GOOD}' where sequence = 31")
        said = await outside.until(lambda said: len(said) >= ROWS)
    assert [int(one.event["sequence"]) for one in said] == list(range(1, ROWS + 1))
    assert slow == list(range(1, ROWS + 1))


async def test_a_relay_that_stops_reads_once_more(
    settings: Settings, topics: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it read ahead was nothing, but the lanes have journaled their last rows while it wrote."""
    served = settings.model_copy(update={"relay_rows_max": 8})
    nothing, is_writing = asyncio.Event(), asyncio.Event()
    after, publish = Shares.after, Relay._publish

    async def reads(shares: Shares, position: Any, **others: Any) -> Any:
        share = await after(shares, position, **others)
        if share is None and position.sequence == ROWS:
            nothing.set()
        return share

    async def publishes(relay: Relay, publisher: Publisher, share: Share, *others: Any) -> None:
        if share.cursor.sequence == ROWS:
            await nothing.wait()
            await execute(served, ROW.replace(BAD, GOOD))
            is_writing.set()
            await relay.stopping.wait()
        await publish(relay, publisher, share, *others)

    monkeypatch.setattr(Shares, "after", reads)
    monkeypatch.setattr(Relay, "_publish", publishes)
    await _journal(served)
    async with line(served) as outside:
        async with working(served):
            await asyncio.wait_for(is_writing.wait(), 30)
        said = await outside.until(lambda said: len(said) >= ROWS + 1)
    assert [int(one.event["sequence"]) for one in said] == list(range(1, ROWS + 2))


async def test_a_lost_lock_ends_what_is_written(
    settings: Settings, topics: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session ends while it reads, and the write, here one that never ends, is given up long before its time."""
    monkeypatch.setattr("worker.leadership.election.PING_SECONDS", 0.01)
    monkeypatch.setattr("worker.leadership.election.RETRY_SECONDS_MAX", 0.2)
    served = settings.model_copy(update={"relay_rows_max": 8, "kafka_seconds_max": 120.0})
    after, write, publish = Shares.after, Relay._publish, Publisher.publish
    is_written, is_ended, is_hung = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def reads(shares: Shares, position: Any, **others: Any) -> Any:
        if is_ended.is_set() or not is_written.is_set():
            return await after(shares, position, **others)
        is_ended.set()
        ending = asyncio.create_task(execute(served, END_OF_READING))
        while not await rows(served, LOCKED):
            await asyncio.sleep(0.01)
        try:
            return await after(shares, position, **others)
        finally:
            await ending

    async def writes(relay: Relay, publisher: Publisher, share: Share, *others: Any) -> None:
        if len(share.events) > 1:
            is_written.set()  # what was begun to be read ahead comes to it only now
        await write(relay, publisher, share, *others)

    async def publishes(publisher: Publisher, events: Any, cursor: bytes) -> None:
        if is_written.is_set() and not is_hung.is_set():
            is_hung.set()
            await asyncio.sleep(120)
        await publish(publisher, events, cursor)

    monkeypatch.setattr(Shares, "after", reads)
    monkeypatch.setattr(Relay, "_publish", writes)
    monkeypatch.setattr(Publisher, "publish", publishes)
    await _journal(served)
    async with line(served) as outside, working(served):
        said = await outside.until(lambda said: len(said) >= ROWS)
    assert [int(one.event["sequence"]) for one in said] == list(range(1, ROWS + 1))
    assert is_hung.is_set()


async def _journal(settings: Settings, bad: int | None = None) -> None:
    """Rows that can be published, but for the one of that number."""
    for number in range(1, ROWS + 1):
        await execute(settings, ROW if number == bad else ROW.replace(BAD, GOOD))


def _failures() -> float:
    return REGISTRY.get_sample_value("segmentation_retries_total", {"part": "relay"}) or 0.0
