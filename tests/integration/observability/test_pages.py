"""/livez, /readyz and /metrics of a worker at work."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from schemas.topics import Topic
from tests.support.line import line, working
from tests.support.pages import get, ready, samples, shows, value, with_pages
from worker import app
from worker.errors import ConfigurationError
from worker.line import mirror
from worker.settings import Settings

PROMISED = {
    "segmentation_commands_total",
    "segmentation_batch_commands_count",
    "segmentation_batch_seconds_count",
    "segmentation_build_info",
    "segmentation_command_to_event_seconds_count",
    "segmentation_lag_records",
    "segmentation_lag_seconds",
    "segmentation_journal_unpublished_rows",
    "segmentation_journal_unpublished_seconds",
    "segmentation_relay_transactions_total",
    "segmentation_relay_events_total",
    "segmentation_relay_leads",
    "segmentation_replies_total",
    "segmentation_fenced_total",
    "segmentation_retries_total",
    "segmentation_rebalances_total",
}


async def test_what_is_counted(settings: Settings, topics: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands by type and outcome, and everything that an operator is promised."""
    monkeypatch.setattr(mirror, "MIRROR_SECONDS", 0.01)
    served = with_pages(settings)
    async with line(served) as outside, working(served):
        await ready(served)
        before = (await get(served, "/metrics"))[1]
        await outside.ask("segment.create", {"segment": "a"})
        again = await outside.send("user.register", {"user_id": "u"})
        await outside.outcome(again)
        await outside.send("user.register", {"user_id": "u"}, id=again)
        for add in ("a", "a", "b"):
            await outside.ask("membership.change", {"user_id": "u", "add": [add]})
        await outside.send_raw(Topic.MEMBERSHIP_COMMANDS, b"hello?", b"u")
        await outside.ask("membership.query", {"user_id": "u"})
        await outside.settled()
        await outside.ask("segment.delete", {"segment": "none"})
        after = (await get(served, "/metrics"))[1]
        expected = {
            ("segment.create", "applied"): 1,
            ("segment.delete", "segment_not_found"): 1,
            ("user.register", "duplicate"): 1,
            ("user.register", "applied"): 1 + 3,  # with those of settled()
            ("membership.change", "applied"): 1,
            ("membership.change", "unchanged"): 1,
            ("membership.change", "segment_not_found"): 1,
            ("unreadable", "malformed"): 1,
        }
        assert {key: _count(after, *key) - _count(before, *key) for key in expected} == expected
        replies = "segmentation_replies_total"
        assert (value(after, replies, outcome="sent") or 0) == (value(before, replies, outcome="sent") or 0) + 1
        await _break_a_connection(served)
        await shows(served, "/metrics", lambda _, text: _names(text) >= PROMISED)


async def _break_a_connection(settings: Settings) -> None:
    """Let one lane's connection break, so that a retry is counted."""
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    sql = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'segmentation relay'"
    assert await connection.fetchval(f"{sql} and datname = current_database()")
    await connection.close()


def _names(text: str) -> set[str]:
    return {name for name, _ in samples(text)}


def _count(text: str, command: str, outcome: str) -> float:
    return value(text, "segmentation_commands_total", type=command, outcome=outcome) or 0


async def test_ready_and_alive(settings: Settings, topics: list[str]) -> None:
    served = with_pages(settings)
    async with working(served):
        await ready(served)
        assert await get(served, "/readyz") == (200, "ok\n")
        assert await get(served, "/livez") == (200, "ok\n")
        assert (await get(served, "/"))[0] == 404


async def test_not_ready_while_positions_are_unknown(settings: Settings, topics: list[str]) -> None:
    """The table of positions is locked: alive, but not ready, until it is free."""
    served = with_pages(settings)
    blocker = await asyncpg.connect(served.database_url.get_secret_value())
    transaction = blocker.transaction()
    await transaction.start()
    await blocker.execute("lock table positions")
    async with working(served):
        text = await shows(served, "/readyz", lambda status, text: status == 503 and "positions" in text)
        assert text == "12 partitions wait for their positions\n"
        assert (await get(served, "/livez"))[0] == 200
        await transaction.rollback()
        await ready(served)
    await blocker.close()


async def test_an_address_that_is_taken(settings: Settings, topics: list[str]) -> None:
    served = with_pages(settings)
    async with working(served):
        await ready(served)
        with pytest.raises(ConfigurationError, match=f"SEGMENTATION_HTTP_ADDRESS: {served.http_address} can't"):
            await asyncio.wait_for(app.run(served), 60)
