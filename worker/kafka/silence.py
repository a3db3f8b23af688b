"""Brokers that have fallen silent: a client waits no longer for one that the other brokers take for dead.

A broker that is frozen, or whose host is gone, refuses nothing: what it was asked stays open until the request's own
limit, which must be long, as a busy broker takes its time. Other brokers know better: once the cluster has given up a
broker it is not in their list any more. Its connections are reset then, so that aiokafka asks its successors.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from aiokafka.conn import CloseReason
from aiokafka.errors import KafkaError
from aiokafka.protocol.metadata import MetadataRequest

from worker.kafka.oauth import TOKEN_SECONDS_MAX
from worker.observability.logs import logger

log = logger(__name__)

CONNECT_SECONDS_MAX = 5.0
"""Longest wait until a new connection can be used, s. aiokafka makes one after the other: all others wait for it."""
LOOK_SECONDS = 1.0
SILENT_SECONDS = 3.0
"""A request that is unanswered for so long makes its broker suspect, s."""
ANSWER_SECONDS_MAX = 3.0
"""Longest wait for what another broker says about the cluster, s."""
FAILURES = (KafkaError, OSError, TimeoutError, AssertionError)
"""What asking another broker may end with."""

Connect = Callable[..., Awaitable[Any]]
T = TypeVar("T")


def in_time(connect: Connect) -> Connect:
    """aiokafka's way to make a connection, with a limit: it has none of its own but that of a request."""

    async def limited(*args: Any, **kwargs: Any) -> Any:
        has_tokens = kwargs.get("sasl_oauth_token_provider") is not None
        seconds = CONNECT_SECONDS_MAX + (TOKEN_SECONDS_MAX if has_tokens else 0.0)
        try:
            async with asyncio.timeout(seconds):
                return await connect(*args, **kwargs)
        except TimeoutError:
            raise TimeoutError(f"no answer within {seconds:g} s") from None

    return limited


def watched(owner: T) -> T:
    """Have a producer or consumer watch its brokers from its start to its end, beside what keeps its metadata fresh."""
    client: Any = owner.client if hasattr(owner, "client") else vars(owner)["_client"]
    synchronize = client._md_synchronizer

    async def synchronize_and_look() -> None:
        looking = asyncio.create_task(Silence(client).look())
        try:
            await synchronize()
        finally:
            looking.cancel()

    client._md_synchronizer = synchronize_and_look
    return owner


class Silence:
    """What one client waits for."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._waiting: dict[Any, tuple[Any, float]] = {}
        """By connection: its oldest request, and since when that is the oldest."""

    async def look(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            silent = self.silent(asyncio.get_running_loop().time())
            if silent and (metadata := await self._told(silent)):
                given_up = silent - {broker[0] for broker in metadata.brokers}
                if given_up:
                    self._client.cluster.update_metadata(metadata)  # else it would connect to the same ones again
                    self.give_up(given_up)

    def silent(self, now: float) -> set[Any]:
        """The ids of the brokers that leave a request unanswered for long."""
        before, self._waiting = self._waiting, {}
        silent = set()
        for (node, _), connection in self._client._conns.items():
            if not connection._requests:
                continue
            oldest = connection._requests[0][-1]
            request, since = before.get(connection, (None, now))
            self._waiting[connection] = oldest, since if request is oldest else now
            if request is oldest and now - since >= SILENT_SECONDS:
                silent.add(node)
        return silent

    async def _told(self, silent: set[Any]) -> Any:
        """What one of the other brokers tells of the cluster and its topics; None where none of them answers."""
        topics = list(self._client._topics) or None  # as aiokafka asks
        others = {broker.nodeId for broker in self._client.cluster.brokers()} - silent
        for node in sorted(others):
            with contextlib.suppress(*FAILURES):
                async with asyncio.timeout(ANSWER_SECONDS_MAX):
                    metadata = await self._client.send(node, MetadataRequest(topics, allow_auto_topic_creation=False))
                if metadata.brokers:
                    return metadata
        return None

    def give_up(self, nodes: set[Any]) -> None:
        """Reset the connections to these brokers; what waits for them fails at once, and is tried elsewhere."""
        given_up = [(node, one) for (node, _), one in self._client._conns.items() if node in nodes and one._writer]
        for _, connection in given_up:
            connection._writer.transport.abort()
            connection.close(reason=CloseReason.CONNECTION_BROKEN)
        if given_up:
            log.info("silent brokers are not waited for, as the others have given them up", brokers=sorted(nodes))
