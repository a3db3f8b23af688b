"""The page's sums are those of the file's rows, and of the memberships that there are."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from tests.integration.reports.desk import MONTH, Desk
from worker.reports import totals as module
from worker.reports.page.summary import Flow
from worker.reports.totals import Totals, totals

NOON = datetime(2025, 3, 10, 12, tzinfo=UTC)


async def summed(desk: Desk) -> Totals:
    async with desk.session.transaction(is_snapshot=True):
        return await totals(desk.session, MONTH)


async def join(sql: asyncpg.Connection[asyncpg.Record], key: int, count: int) -> None:
    """So many members, and one that a command has removed."""
    await sql.execute(
        "insert into memberships (user_key, segment_key, included, origin, since)"
        " select n, $1, n > 0, 'command', $3 from generate_series(0, $2::integer) n",
        key,
        count,
        NOON,
    )


async def test_they_are_those_of_the_rows(desk: Desk) -> None:
    chance = random.Random(5)
    keys = {await desk.segment(name): name for name in ("a", "b", "c", "quiet")}
    wanted: dict[Any, Counter[str]] = {}
    for number in range(300):
        time = MONTH.begins + timedelta(days=number // 12, seconds=number)
        reason = chance.choice(["command", "rollout", "expiry"])
        columns = {
            word: chance.sample(list(keys)[:3], chance.randint(0, 2)) for word in ("entered", "exited", "renewed")
        }
        await desk.journal(time, f"u{number}", reason, **{word: some or None for word, some in columns.items()})
        for word, some in columns.items():
            for key in some:
                for place in ("total", time.date(), reason, keys[key]):
                    wanted.setdefault(place, Counter())[word] += 1
    found = await summed(desk)
    flows: dict[Any, Flow] = {"total": found.total, **dict(found.days), **dict(found.reasons)}
    flows |= {one.segment: one.flow for one in found.segments}
    assert flows == {place: Flow(n["entered"], n["exited"], n["renewed"]) for place, n in wanted.items()}
    assert [day for day, _ in found.days] == sorted(day for day, _ in found.days)
    assert found.rows == sum(wanted["total"].values())


async def test_who_is_active_at_the_months_end(desk: Desk) -> None:
    """As many as there are now, less what has changed since."""
    key = await desk.segment("a")
    await desk.segment("empty")
    idle = await desk.segment("idle")
    await join(desk.sql, key, 10)
    await join(desk.sql, idle, 3)
    await desk.journal(NOON, "u", entered=[key])
    for number in range(4):
        await desk.journal(MONTH.ends + timedelta(days=number), f"later-{number}", entered=[key])
    await desk.journal(MONTH.ends + timedelta(days=9), "gone", exited=[key])
    found = await summed(desk)
    assert {one.segment: (one.active, one.is_deleted) for one in found.segments} == {
        "a": (10 - 4 + 1, False),
        "idle": (3, False),
    }
    assert found.active == 7 + 3


async def test_generations_of_a_name(desk: Desk) -> None:
    """One deleted in the month has nobody at its end; one that came later was not there."""
    deleted = await desk.segment("a", deleted_at=NOON)
    outlived = await desk.segment("b", deleted_at=MONTH.ends + timedelta(days=1))
    late = await desk.segment("a", created_at=MONTH.ends)
    for key in (deleted, outlived, late):
        await join(desk.sql, key, 2)
    await desk.journal(NOON, "u", "segment_deleted", exited=[deleted])
    found = await summed(desk)
    assert [(one.segment, one.is_deleted, one.active) for one in found.segments] == [("a", True, 0), ("b", False, 2)]


async def test_many_segments_are_cut(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SEGMENTS_SHOWN_MAX", 2)
    for number in range(5):
        key = await desk.segment(f"s{number}")
        await join(desk.sql, key, number + 1)
        for user in range(number + 1):
            await desk.journal(NOON, f"u{user}", entered=[key])
    found = await summed(desk)
    assert [one.segment for one in found.segments] == ["s4", "s3"]
    assert found.others is not None
    assert (found.others_count, found.others.flow, found.others.active) == (3, Flow(1 + 2 + 3, 0, 0), 1 + 2 + 3)
    assert (found.total, found.active) == (Flow(15, 0, 0), 15)


async def test_an_empty_month(desk: Desk) -> None:
    found = await summed(desk)
    assert (found.rows, found.active, found.segments, found.days, found.reasons) == (0, 0, (), (), ())
    assert (found.others, found.others_count) == (None, 0)
