"""Three brokers, of which one can be lost: each is a controller, too, as in small clusters."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from uuid import uuid4

from worker.local.guarded import Guarded, guarded
from worker.local.kafka import Kafka, fetch
from worker.local.server import HOST, free_port
from worker.local.services import java

BROKERS = 3


class Member(Kafka):
    """One of them."""

    def __init__(self, guard: Guarded, directory: Path, class_path: str, number: int, voters: Sequence[int]) -> None:
        directory.mkdir()
        super().__init__(guard, directory, class_path, java(), kept=False, for_load=False, heap_mib=256)
        self.number, self._voters = number, voters

    def properties(self) -> str:
        """As of an embedded broker, with others beside it and the brokers' default time until one is taken for dead."""
        properties = dict(line.split("=", 1) for line in super().properties().splitlines())
        own = f"CONTROLLER://{HOST}:{self._voters[self.number]}"
        properties |= {
            "node.id": str(self.number + 1),
            "controller.quorum.voters": ",".join(f"{n + 1}@{HOST}:{port}" for n, port in enumerate(self._voters)),
            "listeners": f"PLAINTEXT://{HOST}:{self.port},{own}",
            "broker.session.timeout.ms": "9000",
            "broker.heartbeat.interval.ms": "2000",
            "default.replication.factor": "3",
            "min.insync.replicas": "2",
            "offsets.topic.replication.factor": "3",
            "transaction.state.log.replication.factor": "3",
            "transaction.state.log.min.isr": "2",
        }
        return "".join(f"{name}={value}\n" for name, value in properties.items())


@contextlib.asynccontextmanager
async def cluster() -> AsyncIterator[list[Member]]:
    """Started, and ended with the context."""
    folder = Path(tempfile.mkdtemp(prefix="segmentation-test-"))
    try:
        async with guarded() as guard:
            guard.remove_at_end(folder)
            class_path = await fetch(guard, lambda _: None)
            voters, cluster_id = [free_port() for _ in range(BROKERS)], uuid4().hex
            members = [Member(guard, folder / f"kafka{n}", class_path, n, voters) for n in range(BROKERS)]
            for member in members:
                member.new_cluster_id = cluster_id
                await member.prepare()
            async with asyncio.TaskGroup() as group:
                for number, member in enumerate(members):  # none of them answers before two are there
                    group.create_task(member.start())
                    await _listens(voters[number])
            yield members
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _listens(port: int) -> None:
    """Wait for a member's controller, so that three Javas do not begin at once."""
    while True:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection(HOST, port)
            writer.close()
            return
        await asyncio.sleep(0.1)
