"""Whatever is killed while commands are put off and fall due: each has the event that says so, and one outcome."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from tests.support.line import Line, Said, line
from tests.support.workers import workers
from worker.settings import Settings

USERS, FIRST = 800, 20
FORGOTTEN = 10
"""Each so many-th user is forgotten as soon as its command is sent."""
LATEST_SECONDS = 20.0


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("kills", "seed"), [(2, 1), pytest.param(15, 2, marks=pytest.mark.slow)])
async def test_what_is_put_off_survives_kills(
    settings: Settings, topics: list[str], tmp_path: Path, kills: int, seed: int
) -> None:
    settings = settings.model_copy(update={"session_seconds_max": 6, "relay_rows_max": 100, "users": "any"})
    chance = random.Random(seed)
    async with workers(settings, 2, tmp_path) as both, line(settings) as outside:
        for worker in both:
            await worker.start()
        await outside.ask("segment.create", {"segment": "s"})
        sending = asyncio.create_task(_send(outside, chance))
        for _ in range(kills):
            enough = len(outside.said) + chance.randint(1, USERS // 2)
            await outside.until(lambda said, enough=enough: len(said) > enough or _is_over(said))  # type: ignore[misc] # a default
            victim = chance.choice([worker for worker in both if worker.running])
            await victim.kill()
            await victim.start()
        await sending
        said = await outside.until(_is_over, seconds=240)
        _hold(said)
        await _nothing_is_left(settings)


async def _send(outside: Line, chance: random.Random) -> None:
    """Each user is to come in within seconds, or at once; the first ones after all kills, whatever those delay.

    Some are forgotten before that, or shortly after.
    """
    for number in range(USERS):
        at = datetime.now(UTC) + timedelta(seconds=LATEST_SECONDS if number < FIRST else chance.uniform(-1, 5))
        data = {"user_id": f"u{number}", "add": ["s"]}
        await outside.send("membership.change", data, id=f"c{number}", effectiveat=at)
        if number % FORGOTTEN == 0:
            await outside.send("user.forget", {"user_id": f"u{number}"}, id=f"f{number}")


def _outcomes(said: list[Said]) -> list[Said]:
    """What came of commands in the end, and of those that forget their users; the segment's own is none of them."""
    return [one for one in said if one.cause and one.type not in ("command.scheduled", "segment.created")]


def _is_over(said: list[Said]) -> bool:
    return len(_outcomes(said)) >= USERS + USERS // FORGOTTEN


def _hold(said: list[Said]) -> None:
    outcomes = Counter(one.cause for one in _outcomes(said))
    assert set(outcomes.values()) == {1}
    forgetting = {f"f{number}" for number in range(0, USERS, FORGOTTEN)}
    assert outcomes.keys() == {f"c{number}" for number in range(USERS)} | forgetting
    scheduled = Counter(one.cause for one in said if one.type == "command.scheduled")
    assert set(scheduled.values()) == {1}
    assert scheduled.keys() >= {f"c{number}" for number in range(FIRST)}
    rejected = [one for one in said if one.type == "command.rejected"]
    assert {one.data["code"] for one in rejected} == {"user_not_found"}
    in_vain = {one.cause for one in rejected if one.cause not in forgetting}
    assert in_vain <= {f"c{number}" for number in range(0, USERS, FORGOTTEN)}
    assert in_vain
    first = {one.cause: int(one.event["sequence"]) for one in said if one.type == "command.scheduled"}
    for one in _outcomes(said):
        assert int(one.event["sequence"]) > first.get(one.cause, 0)
    sequences = sorted(int(one.event["sequence"]) for one in said if "sequence" in one.event)
    assert sequences == list(range(1, len(sequences) + 1))


async def _nothing_is_left(settings: Settings) -> None:
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    for table in ("schedule", "schedule_forgotten"):
        assert await connection.fetchval(f"select count(*) from {table}") == 0
    await connection.close()
