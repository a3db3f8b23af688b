"""Whatever is killed while a list is sent, received and applied: it goes on, ends once, and counts every user once."""

from __future__ import annotations

import asyncio
import json
import random
from collections import defaultdict
from functools import partial
from pathlib import Path

import pytest

from tests.acceptance.shell import Shell, ending
from tests.conftest import make_settings
from tests.support.line import Line, Said, line
from tests.support.workers import workers
from worker.kafka import topics as kafka_topics
from worker.local.services import Services
from worker.postgres import migrations
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
        assert done.cause == commit
        await _hold_end(outside, done)


@pytest.mark.timeout(300)
async def test_a_list_survives_both_servers(own_services: Services, tmp_path: Path) -> None:
    """PostgreSQL is killed while it is received, PostgreSQL and Kafka while it is applied."""
    settings = make_settings(
        own_services.kafka_bootstrap_servers,
        own_services.database_url,
        kafka_seconds_max=5,
        statement_seconds_max=5,
        relay_rows_max=500,
    )
    await migrations.upgrade(settings)
    await kafka_topics.ensure(settings)
    async with workers(settings, 1, tmp_path) as (worker,), line(settings) as outside:
        await worker.start()
        await outside.ask("segment.create", {"segment": "s"})
        begin = {"import": "i", "segment": "s", "mode": "add", "unknown_users": "register"}
        assert (await outside.ask("import.begin", begin)).type == "import.began"
        sending = asyncio.create_task(_send(outside))
        await outside.until(lambda said: any(one.type == "import.received" for one in said))
        await own_services.postgres.kill()
        commit = await sending
        await own_services.postgres.start()
        for server in (own_services.postgres, own_services.kafka):
            enough = len(_changed(outside.said, commit)) + 1_000
            await outside.until(partial(_is_applied, commit, enough))
            await server.kill()
            await server.start()
        said = await outside.until(_ended, seconds=240)
        await _hold_end(outside, next(one for one in said if one.cause == commit and one.type == "import.completed"))
        assert await worker.stop() == 0, worker.log()


@pytest.mark.timeout(120)
async def test_the_command_line_goes_on_where_it_was_killed(
    settings: Settings, topics: list[str], tmp_path: Path
) -> None:
    """… by the same command with the same id: what was sent before is not sent as something else."""
    shell, ids = Shell.of(settings), "".join(f"u{number}\n" for number in range(USERS))
    async with workers(settings, 1, tmp_path) as (worker,), line(settings) as outside:
        await worker.start()
        await outside.ask("segment.create", {"segment": "s"})
        words = ("import", "s", "-", "--register", "--id", "i")
        async with ending(await shell.start(*words)) as process:
            assert process.stdin is not None
            process.stdin.write(ids[: len(ids) // 2].encode())
            await process.stdin.drain()
            await outside.until(lambda said: any(one.type == "import.received" for one in said))
            process.kill()
            await process.wait()
        again = await shell.run(*words, "--wait", "--json", stdin=ids)
        assert again.code == 0, again
        told = json.loads(again.out)
        assert [told[name] for name in ("received", "users", "registered", "entered")] == [USERS] * 4
        said = await outside.until(_ended)
        await _hold_end(outside, next(one for one in said if one.type == "import.completed"))


async def _hold_end(outside: Line, done: Said) -> None:
    """Every user was received, registered and changed once, and each change is told once."""
    assert done.type == "import.completed"
    assert (done.data["received"], done.data["users"], done.data["registered"]) == (USERS, USERS, USERS)
    count, commit = done.data["entered"] + done.data["renewed"], str(done.cause)
    said = await outside.until(lambda said: len(_changed(said, commit)) >= count)
    changed = _changed(said, commit)
    assert _twice(said, commit) == {}
    assert len(changed) == len(set(changed)) == count
    sequences = sorted(int(one.event["sequence"]) for one in outside.said if "sequence" in one.event)
    assert sequences == list(range(1, len(sequences) + 1))


def _ended(said: list[Said]) -> bool:
    return any(one.type in ("import.completed", "import.failed") for one in said)


def _reached(count: int, said: list[Said]) -> bool:
    return len(said) > count or _ended(said)


def _is_applied(commit: str, count: int, said: list[Said]) -> bool:
    return len(_changed(said, commit)) > count or _ended(said)


def _changed(said: list[Said], commit: str) -> list[str]:
    return [one.data["user_id"] for one in said if one.cause == commit and one.type == "membership.changed"]


def _twice(said: list[Said], commit: str) -> dict[str, list[tuple[str, int, int, str]]]:
    """Where the changes of each user with more than one stand, and their numbers: the same row, or two rows."""
    places = defaultdict(list)
    for one in said:
        if one.cause == commit and one.type == "membership.changed":
            places[one.data["user_id"]].append((one.topic, one.partition, one.offset, one.event["sequence"]))
    return {user: its for user, its in places.items() if len(its) > 1}


async def _send(outside: Line) -> str:
    for start in range(0, USERS, PIECE):
        users = [f"u{number}" for number in range(start, start + PIECE)]
        await outside.send("import.users", {"import": "i", "user_ids": users})
        await asyncio.sleep(0.1)
    return await outside.send("import.commit", {"import": "i", "users": USERS})
