"""Workers are killed while a list is received and applied: it goes on, ends once, and every user is counted once."""

from __future__ import annotations

import asyncio
import random
from functools import partial
from pathlib import Path

import pytest

from tests.support.line import Line, Said, line
from tests.support.workers import workers
from worker.settings import Settings

USERS, PIECE = 12_000, 1_000


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("kills", "seed"), [(3, 1), pytest.param(15, 2, marks=pytest.mark.slow)])
async def test_a_list_survives_kills(
    settings: Settings, topics: list[str], tmp_path: Path, kills: int, seed: int
) -> None:
    settings = settings.model_copy(update={"session_seconds_max": 6, "relay_rows_max": 500})
    chance = random.Random(seed)
    async with workers(settings, 2, tmp_path) as both, line(settings) as outside:
        for worker in both:
            await worker.start()
        await outside.ask("segment.create", {"segment": "s", "percent": 50})
        begin = {"import": "i", "segment": "s", "mode": "add", "unknown_users": "register"}
        assert (await outside.ask("import.begin", begin)).type == "import.began"
        sending = asyncio.create_task(_send(outside))
        for _ in range(kills):
            enough = len(outside.said) + chance.randint(1, 2_000)
            await outside.until(partial(_reached, enough))
            victim = chance.choice([worker for worker in both if worker.running])
            await victim.kill()
            await victim.start()
        commit = await sending
        said = await outside.until(_ended, seconds=240)
        (done,) = [one for one in said if one.type in ("import.completed", "import.failed")]
        assert (done.type, done.cause) == ("import.completed", commit)
        assert (done.data["received"], done.data["users"], done.data["registered"]) == (USERS, USERS, USERS)
        count = done.data["entered"] + done.data["renewed"]
        said = await outside.until(lambda said: len(_changed(said, commit)) >= count)
        changed = _changed(said, commit)
        assert len(changed) == len(set(changed)) == count
        sequences = sorted(int(one.event["sequence"]) for one in outside.said if "sequence" in one.event)
        assert sequences == list(range(1, len(sequences) + 1))


def _ended(said: list[Said]) -> bool:
    return any(one.type in ("import.completed", "import.failed") for one in said)


def _reached(count: int, said: list[Said]) -> bool:
    return len(said) > count or _ended(said)


def _changed(said: list[Said], commit: str) -> list[str]:
    return [one.data["user_id"] for one in said if one.cause == commit and one.type == "membership.changed"]


async def _send(outside: Line) -> str:
    for start in range(0, USERS, PIECE):
        users = [f"u{number}" for number in range(start, start + PIECE)]
        await outside.send("import.users", {"import": "i", "user_ids": users})
        await asyncio.sleep(0.1)
    return await outside.send("import.commit", {"import": "i", "users": USERS})
