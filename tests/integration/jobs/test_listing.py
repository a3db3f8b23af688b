"""`segmentation jobs` and `segmentation preview`: what they print of what there is."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from tests.integration.jobs.conftest import Bench
from worker.cli.jobs import jobs, preview
from worker.errors import ConfigurationError
from worker.jobs.rollout import Rollout
from worker.settings import ENV_PREFIX


@pytest.fixture
def shell(bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Bench:
    """A wide terminal with the deployment's settings; the time is the real one."""
    monkeypatch.setenv(f"{ENV_PREFIX}DATABASE_URL", bench.settings.database_url.get_secret_value())
    monkeypatch.setenv("COLUMNS", "200")
    bench.now = datetime.now(UTC)
    return bench


async def _printed(capsys: pytest.CaptureFixture[str]) -> list[str]:
    await jobs(as_json=False)
    return [" ".join(text.split()) for text in capsys.readouterr().out.splitlines() if text.strip()]


async def test_before_any_worker(shell: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert (await _printed(capsys))[-1] == "nothing has run yet: no worker has been up"


async def test_scheduled_running_done_and_failing(shell: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    now = shell.now
    await shell.session.fetch("jobs_scheduled", ["deletion", "expiry", "retention", "rollout"], now)
    await shell.session.fetch("job_started", "expiry", now - timedelta(seconds=10))
    await shell.session.fetch("job_progress", "expiry", 1_000)
    await shell.users(2_000)
    key = await shell.segment("over")
    await shell.sql.execute(
        "insert into memberships (user_key, segment_key, included, origin, since, expires_at)"
        " select user_key, $1, true, 'command', $2, $2 from users",
        key,
        now,
    )
    await shell.session.fetch("job_started", "rollout", now - timedelta(seconds=2))
    await shell.session.fetch("job_finished", "rollout", now, 1_234, None, now + timedelta(hours=1))
    await shell.session.fetch("job_started", "retention", now)
    for _ in range(2):
        await shell.session.fetch("job_finished", "retention", now, 0, "not the owner", now + timedelta(hours=1))
    printed = await _printed(capsys)
    (expiry,) = [text for text in printed if text.startswith("expiry")]
    assert "running" in expiry
    assert "1,000 of 3,000 memberships" in expiry
    assert "/s 0:00:2" in expiry, "some 20 seconds are left"
    (rollout,) = [text for text in printed if text.startswith("rollout")]
    assert "done" in rollout
    assert "1,234 memberships 617/s" in rollout
    (deletion,) = [text for text in printed if text.startswith("deletion")]
    assert deletion == "deletion scheduled now"
    (failing,) = [text for text in printed if text.startswith("retention f")]
    assert rollout.split()[-2:] == failing.split()[-2:], "when it is due again"
    assert printed[-1] == "retention has failed 2 times: not the owner"


async def test_a_new_leader_has_interrupted_what_ran(shell: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    await shell.session.fetch("job_started", "expiry", shell.now)
    await shell.session.fetch("jobs_scheduled", ["expiry"], shell.now)
    assert "interrupted" in (await _printed(capsys))[-1]


async def test_rollouts_and_deletions(shell: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """The first is half done, the second waits, one is done; a segment is going."""
    await shell.users(1_000)
    rollout = Rollout(shell.clock)
    await shell.segment("ready", Decimal(100))
    await shell.all_of(rollout)
    shell.passes(seconds=-10)
    await shell.segment("half", Decimal("12.5"))
    await Rollout(shell.clock).turn(shell.session)
    shell.passes(seconds=1)
    await shell.segment("later", Decimal(5))
    await shell.session.fetch("segments_delete", ["ready"], shell.now)
    printed = await _printed(capsys)
    (half,) = [text for text in printed if text.startswith("rollout of half 12.5 %")]
    assert "running" in half
    assert "500 of 1,000 users" in half
    (later,) = [text for text in printed if text.startswith("rollout of later 5 %")]
    assert "waiting" in later
    (going,) = [text for text in printed if text.startswith("deletion of ready")]
    assert "waiting" in going


async def test_as_json(shell: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    await shell.users(1)
    await shell.segment("s", Decimal(100))
    await shell.all_of(Rollout(shell.clock))
    await jobs(as_json=True)
    (row,) = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
    assert (row["kind"], row["name"], row["outcome"], row["done"]) == ("rollout", "s 100 %", "done", 1)


async def test_a_preview_is_what_the_rollout_does_then(shell: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """Up and down, beside users who were added and removed by command; nothing changes by looking."""
    await shell.users(2_000)
    key = await shell.segment("s", Decimal(30))
    await shell.all_of(Rollout(shell.clock))
    await shell.sql.execute(
        "insert into memberships as m (user_key, segment_key, included, origin, since)"
        " select n, $1, n % 2 = 0, 'command', $2 from generate_series(1, 100) n"
        " on conflict (user_key, segment_key) do update set included = excluded.included, origin = 'command'",
        key,
        shell.now,
    )
    for percent in (Decimal("55.5"), Decimal("12.25"), Decimal(0), Decimal(100)):
        before = await shell.members(key)
        await preview(percent, "s")
        said = capsys.readouterr().out
        assert await shell.members(key) == before
        await shell.roll_out(key, percent)
        await shell.all_of(Rollout(shell.clock))
        after = await shell.members(key)
        entered, left = len(after - before), len(before - after)
        assert f"{entered:,} would enter, {left:,} would leave" in " ".join(said.split())


async def test_a_preview_of_a_new_segment_and_of_an_unknown_one(
    shell: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    await shell.users(10)
    await preview(Decimal(100), None)
    assert "10 of 10 users are inside; 10 would enter, 0 would leave" in " ".join(capsys.readouterr().out.split())
    with pytest.raises(ConfigurationError, match="'nope' does not exist"):
        await preview(Decimal(1), "nope")
