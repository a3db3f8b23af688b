"""One of three brokers is lost: the others take over, and nothing is lost, doubled or out of order."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.conftest import make_settings
from tests.support.cluster import cluster
from tests.support.line import line
from tests.support.workers import workers
from worker.kafka import topics


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("is_frozen", [False, True], ids=["killed", "frozen"])
async def test_each_broker_is_lost_in_turn(database_url: str, tmp_path: Path, is_frozen: bool) -> None:
    """Whichever leads partitions, coordinates the group, or coordinates the relay's transactions.

    One that is frozen refuses nothing: who waits for it goes on once the others have given it up.
    """
    async with cluster() as members:
        servers = ",".join(member.bootstrap_servers for member in members)
        settings = make_settings(servers, database_url, topic_partitions=6, log_level="info")
        await topics.ensure(settings)
        async with workers(settings, 2, tmp_path) as running, line(settings) as outside:
            for worker in running:
                await worker.start()
            for member in members:
                await outside.ask("user.register", {"user_id": f"before-{member.number}"})
                if is_frozen:
                    member.pause()
                else:
                    await member.kill()
                users = [f"during-{member.number}-{number}" for number in range(20)]
                for command in await asyncio.gather(
                    *(outside.send("user.register", {"user_id": user}) for user in users)
                ):
                    await outside.outcome(command)
                await member.restore()
            for worker in running:
                assert await worker.stop() == 0, worker.log()
            assert len({one.event["id"] for one in outside.said}) == len(outside.said) == 63
            assert any("silent brokers are not waited for" in worker.log() for worker in running) == is_frozen
