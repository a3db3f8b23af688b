"""A row of the journal that this version can't make an event holds up what comes after it, and no worker ends by it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.events import execute, rows
from tests.support.line import Line, line, working
from tests.support.pages import get, ready, shows, with_pages
from worker import reset
from worker.journal import publisher
from worker.journal.state import Outgoing
from worker.settings import Settings

ROW = (
    "with head as (update journal_head set sequence = sequence + 1, time = now() returning sequence, time) "
    "insert into journal (sequence, time, type, detail) select sequence, time, 'report.failed', '{}' from head"
)
GOOD, BAD = '{"year": 2026, "month": 1}', "{}"


async def test_a_row_that_can_not_be_made_an_event(
    settings: Settings, topics: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows before it are published, commands are decided, and /readyz names it; it goes on with a worker that can
    make the row an event, and where a person leaves it out. Each of the others is published once."""
    monkeypatch.setattr("worker.line.mirror.MIRROR_SECONDS", 0.01)
    monkeypatch.setattr("worker.journal.backlog.STALLED_SECONDS_MAX", 0.1)
    monkeypatch.setattr("worker.leadership.election.RETRY_SECONDS_MAX", 0.2)
    monkeypatch.setattr("worker.journal.relay.MARK_SECONDS", 0.0)
    served = with_pages(settings)
    for detail in (GOOD, GOOD, GOOD, BAD, GOOD, BAD, GOOD):
        await execute(served, ROW.replace(BAD, detail))
    async with line(served) as outside:
        async with working(served) as worker:
            text = await shows(served, "/readyz", lambda status, text: status == 503 and "row 4 can't" in text)
            assert "KeyError: 'year'" in text
            assert "`segmentation reset relay --to 4`" in text
            assert await _numbers(outside, 3) == [1, 2, 3]
            await outside.send("user.register", {"user_id": "u"})
            while not await rows(served, "select from users where user_id = 'u'"):
                assert not worker.done()
            assert (await get(served, "/livez"))[0] == 200
            # as if the worker had become one that has no such mistake
            await execute(served, f"update journal set detail = '{GOOD}' where sequence = 4")
            await shows(served, "/readyz", lambda status, text: status == 503 and "row 6 can't" in text)
        assert await reset.relay(served, "6") == (5, 6)
        async with working(served):
            await ready(served)
            await outside.settled()
    numbers = [int(one.event["sequence"]) for one in outside.said]
    assert sorted(numbers) == [1, 2, 3, 4, 5, *range(7, max(numbers) + 1)]


async def test_a_row_that_can_not_be_put_into_a_batch(
    settings: Settings, topics: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is found by halving transactions, and likewise holds up only what comes after it."""
    monkeypatch.setattr("worker.line.mirror.MIRROR_SECONDS", 0.01)
    monkeypatch.setattr("worker.journal.backlog.STALLED_SECONDS_MAX", 0.1)
    monkeypatch.setattr("worker.leadership.election.RETRY_SECONDS_MAX", 0.05)
    served = with_pages(settings, relay_rows_max=64)
    bad, place_of = 4, publisher.place_of

    def failing(event: Outgoing, *others: Any) -> publisher.Place:
        if event.sequence == bad:
            raise ZeroDivisionError("no partition")
        return place_of(event, *others)

    monkeypatch.setattr(publisher, "place_of", failing)
    for _ in range(6):
        await execute(served, ROW.replace(BAD, GOOD))
    async with line(served) as outside, working(served):
        alone = "the journal's row 4 ("
        text = await shows(served, "/readyz", lambda status, text: status == 503 and alone in text)
        assert "ZeroDivisionError: no partition" in text
        assert await _numbers(outside, 3) == [1, 2, 3]
        bad = 0
        assert await _numbers(outside, 6) == [1, 2, 3, 4, 5, 6]


async def _numbers(outside: Line, count: int) -> list[int]:
    said = await outside.until(lambda said: len(said) >= count)
    return [int(one.event["sequence"]) for one in said]
