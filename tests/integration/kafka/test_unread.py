"""What `doctor` says of commands that wait while no worker runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from schemas.topics import Topic
from tests.support.line import Line, line, working
from worker.cli import doctor
from worker.cli.doctor import _commands as look
from worker.kafka import groups
from worker.settings import Settings


async def _send(outside: Line, user: str, **ago: float) -> None:
    await outside.send_at("user.register", {"user_id": user}, datetime.now(UTC) - timedelta(**ago))


async def test_commands_that_nobody_reads(
    settings: Settings, topics: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with line(settings) as outside:
        (none,) = await look(settings)
        assert (none.is_warning, none.message) == (False, "none waits")
        await _send(outside, "young")
        (young,) = await look(settings)
        assert (young.is_warning, young.message) == (False, "none has waited for more than 60 s")
        for user in ("ada", "grace", "sam", "eve"):
            await _send(outside, user, minutes=50)
        (old,) = await look(settings)
        assert (old.is_good, old.is_warning) == (True, True)
        assert (
            f"{outside.topic(Topic.MEMBERSHIP_COMMANDS)} has about 5 records that wait, the first for 3,00"
            in old.message
        )
        assert f"no worker is in the group {settings.group_id}: start one with `segmentation run`" in old.message
        with monkeypatch.context() as patched:
            patched.setattr(groups, "members", _two)
            (at_it,) = await look(settings)
            assert (at_it.is_warning, at_it.message) == (
                False,
                "records that wait: 5; workers in the group: 2",
            )
        async with working(settings):
            await outside.settled()
            assert await groups.members(settings) == 1
        (read,) = await look(settings)
        assert (read.is_warning, read.message) == (False, "none waits")
        assert doctor.CHECKS["commands"] is look


async def _two(_: Settings) -> int:
    return 2
