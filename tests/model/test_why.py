"""Random lives: every answer to `why` agrees with the view, names its cause, and leaves nothing unexplained."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from schemas.commands import CommandType
from tests.support.life import Desk, Life, support
from worker.settings import Settings

STEPS = 60
USERS = ("ada", "bob")
NEEDS_NO_CAUSE = ("never_added", "outside_percent", "rollout_pending", "segment_deleted")


@pytest.mark.parametrize("seed", range(3))
async def test_nothing_is_unexplained(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], seed: int
) -> None:
    chance = Random(seed)
    async with support(settings, monkeypatch, capsys) as desk:
        await desk.life.segment()
        for user in USERS:
            await desk.life.user(user)
        for _ in range(STEPS):
            desk.life.passes(minutes=chance.choice([1, 30, 90]))
            await _step(desk.life, chance)
            for user in USERS:
                await _explained(desk, user)


async def _step(life: Life, chance: Random) -> None:
    """A command, or what runs by itself."""
    kind = chance.randrange(13)
    if kind < 11:
        await life.do(*_command(chance, kind))
    elif kind == 11:
        await life.roll_out_all()
    else:
        await life.expire()
        await life.sweep()


def _command(chance: Random, kind: int) -> tuple[CommandType, dict[str, Any]]:
    user, segment = {"user_id": chance.choice(USERS)}, {"segment": "beta"}
    if kind < 7:
        changes: list[dict[str, Any]] = [{"add": ["beta"]}, {"add": ["beta"], "ttl": "PT1H"}, {"remove": ["beta"]}]
        return "membership.change", user | chance.choice(changes)
    if kind < 9:
        percent, policy = chance.choice([0, 50, 100]), chance.choice(["release", "keep"])
        return "segment.update", segment | {"percent": percent, "on_decrease": policy}
    others: list[tuple[CommandType, dict[str, Any]]] = [
        ("user.register", user),
        ("user.forget", user),
        ("segment.create", segment),
        ("segment.delete", segment),
    ]
    return chance.choices(others, weights=[2, 1, 2, 1])[0]


async def _explained(desk: Desk, user: str) -> None:
    """The desk itself holds the answer against the view."""
    answer = await desk.why(user)
    assert answer["code"] not in ("unexplained", "unknown"), answer["answer"]
    assert answer["cause"] is not None or answer["code"] in NEEDS_NO_CAUSE, answer["answer"]
