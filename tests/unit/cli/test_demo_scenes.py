"""The demo's story is complete, and what is to be refused is wrong only in the way that its caption says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from schemas.commands import COMMANDS
from worker.cli.demo_scenes import scenes
from worker.cli.sender import make

NOW = datetime(2026, 12, 31, 23, 59, tzinfo=UTC)


def test_every_command_is_shown() -> None:
    assert {scene.type for scene in scenes(NOW) if scene.type} == COMMANDS.keys()


def test_every_command_is_a_good_one() -> None:
    for scene in scenes(NOW):
        if scene.type:
            assert make({"type": scene.type, "data": scene.data}, "/demo", place=scene.place).key


def test_the_new_year_is_the_next_one() -> None:
    (moment,) = [
        datetime.fromisoformat(item["expires_at"])
        for scene in scenes(NOW)
        for item in (scene.data or {}).get("add", ())
        if "expires_at" in item
    ]
    assert timedelta(0) < moment - NOW < timedelta(days=1)


def test_only_one_command_is_sent_twice() -> None:
    assert len([scene for scene in scenes(NOW) if scene.is_repeated]) == 1
