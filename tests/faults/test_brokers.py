"""One of three brokers is lost: the others take over, and nothing is lost, doubled or out of order."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import make_settings
from tests.support.cluster import cluster
from tests.support.line import line
from tests.support.workers import workers
from worker.kafka import topics


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_each_broker_is_lost_in_turn(database_url: str, tmp_path: Path) -> None:
    """Whichever leads partitions, coordinates the group, or coordinates the relay's transactions."""
    async with cluster() as members:
        servers = ",".join(member.bootstrap_servers for member in members)
        settings = make_settings(servers, database_url, topic_partitions=6)
        await topics.ensure(settings)
        async with workers(settings, 2, tmp_path) as running, line(settings) as outside:
            for worker in running:
                await worker.start()
            for member in members:
                await outside.ask("user.register", {"user_id": f"before-{member.number}"})
                await member.kill()
                sent = [
                    await outside.send("user.register", {"user_id": f"during-{member.number}-{number}"})
                    for number in range(20)
                ]
                for command in sent:
                    await outside.outcome(command)
                await member.start()
            for worker in running:
                assert await worker.stop() == 0, worker.log()
            assert len({one.event["id"] for one in outside.said}) == len(outside.said) == 63
