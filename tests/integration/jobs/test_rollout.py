"""Percents: exact, sticky, computable by anyone, and safe beside everything else."""

from __future__ import annotations

import math
from decimal import Decimal
from itertools import combinations
from uuid import NAMESPACE_OID, uuid4, uuid5

import pytest

from schemas.buckets import bucket, is_inside
from tests.integration.jobs.conftest import Bench
from worker.jobs.rollout import Rollout

USERS = 3_000
SEGMENTS = 20
Z_999 = 3.2905
"""99.9 % of a normal distribution lie within so many standard deviations."""
Z_PAIRS = 4.5
"""… and 99.9 % of the runs of 190 pairs have all of them within these."""


async def salt_of(bench: Bench, key: int) -> str:
    return str(await bench.sql.fetchval("select salt from segments where segment_key = $1", key))


async def test_sql_and_python_agree(bench: Bench) -> None:
    salt = uuid4()
    users = [f"{prefix}{number}" for prefix in ("user-", "ü", "日本:") for number in range(34_000)]
    rows = await bench.sql.fetch("select bucket($1, x) as bucket from unnest($2::text[]) as x", salt, users)
    assert [row["bucket"] for row in rows] == [bucket(str(salt), user) for user in users]


@pytest.mark.parametrize("percent", [Decimal(0), Decimal("0.01"), Decimal("37.25"), Decimal(100)])
async def test_exactly_those_inside(bench: Bench, percent: Decimal) -> None:
    await bench.users(USERS)
    key = await bench.segment("s", percent)
    await bench.all_of(Rollout(bench.clock))
    salt = await salt_of(bench, key)
    wanted = {user for n in range(1, USERS + 1) if is_inside(salt, user := f"user-{n}", percent)}
    assert await bench.members(key) == wanted
    events = await bench.journaled("rollout")
    assert [(row["entered"], row["exited"]) for row in events] == [([key], None)] * len(wanted)
    assert {row["user_id"] for row in events} == wanted


async def test_up_only_adds_and_down_releases(bench: Bench) -> None:
    await bench.users(USERS)
    rollout = Rollout(bench.clock)
    key = await bench.segment("s", Decimal(20))
    await bench.all_of(rollout)
    few = await bench.members(key)
    await bench.roll_out(key, Decimal(60))
    await bench.all_of(rollout)
    many = await bench.members(key)
    assert few < many
    assert not [row for row in await bench.journaled("rollout") if row["exited"]]
    await bench.roll_out(key, Decimal(20))
    await bench.all_of(rollout)
    assert await bench.members(key) == few


async def test_down_keeps_where_told(bench: Bench) -> None:
    await bench.users(USERS)
    rollout = Rollout(bench.clock)
    key = await bench.segment("s", Decimal(60))
    await bench.all_of(rollout)
    many = await bench.members(key)
    await bench.roll_out(key, Decimal(5), "keep")
    await bench.all_of(rollout)
    assert await bench.members(key) == many


async def test_two_changes_end_in_the_last(bench: Bench) -> None:
    """The second comes while the first is under way: each user is decided by the last, one event says the end."""
    await bench.users(USERS)
    rollout = Rollout(bench.clock)
    key = await bench.segment("s", Decimal(90))
    await rollout.turn(bench.session)
    assert 0 < len(await bench.members(key)) < USERS * 0.9
    await bench.roll_out(key, Decimal(10))
    await bench.all_of(rollout)
    salt = await salt_of(bench, key)
    assert await bench.members(key) == {
        user for n in range(1, USERS + 1) if is_inside(salt, user := f"user-{n}", Decimal(10))
    }
    ends = await bench.sql.fetch(
        "select detail::json ->> 'percent' as percent from journal where type = 'segment.populated'"
    )
    assert [Decimal(row["percent"]) for row in ends] == [Decimal(10)]


async def test_commands_beat_the_percent(bench: Bench) -> None:
    await bench.users(3)
    key = await bench.segment("s")
    rows = [(1, False, "command", None), (2, True, "command", None)]
    for user_key, included, origin, expires_at in rows:
        await bench.sql.execute(
            "insert into memberships (user_key, segment_key, included, origin, since, expires_at)"
            " values ($1, $2, $3, $4::membership_origin, $5, $6)",
            user_key,
            key,
            included,
            origin,
            bench.now,
            expires_at,
        )
    rollout = Rollout(bench.clock)
    await bench.roll_out(key, Decimal(100))
    await bench.all_of(rollout)
    assert await bench.members(key) == {"user-2", "user-3"}
    await bench.roll_out(key, Decimal(0))
    await bench.all_of(rollout)
    assert await bench.members(key) == {"user-2"}


@pytest.mark.parametrize("users", [10_000, pytest.param(200_000, marks=pytest.mark.slow)])
async def test_counts_and_independence(bench: Bench, users: int) -> None:
    """20 segments: counts within the binomial's 99.9 % bounds, pairs as if drawn by themselves.

    Salts and ids are always the same, so that it fails for a change of the formula and never by chance.
    """
    await bench.users(users)
    percents = [Decimal(5) * (number % 19 + 1) for number in range(SEGMENTS)]
    keys = [await bench.segment(f"s{number}", percent) for number, percent in enumerate(percents)]
    for key in keys:
        await bench.sql.execute(
            "update segments set salt = $1 where segment_key = $2", uuid5(NAMESPACE_OID, f"{key}"), key
        )
    await bench.all_of(Rollout(bench.clock))
    rows = await bench.sql.fetch("select segment_key, count(*) from memberships where included group by segment_key")
    counts: dict[int, int] = {row["segment_key"]: row["count"] for row in rows}
    for key, percent in zip(keys, percents, strict=True):
        assert _is_likely(users, counts[key], float(percent) / 100), (percent, counts[key])
    pairs = await bench.sql.fetch(
        "select a.segment_key as one, b.segment_key as other, count(*) as both from memberships a"
        " join memberships b using (user_key) where a.segment_key < b.segment_key group by 1, 2"
    )
    both = {(row["one"], row["other"]): row["both"] for row in pairs}
    shares = dict(zip(keys, (float(percent) / 100 for percent in percents), strict=True))
    unlikely = [
        pair
        for pair in combinations(keys, 2)
        if not _is_likely(users, both[pair], shares[pair[0]] * shares[pair[1]], Z_PAIRS)
    ]
    assert not unlikely


def _is_likely(users: int, count: int, share: float, deviations: float = Z_999) -> bool:
    return abs(count - users * share) <= deviations * math.sqrt(users * share * (1 - share))
