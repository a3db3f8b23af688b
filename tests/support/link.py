"""A narrow way to Kafka: a proxy that lets through so many bytes a second and no more."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import aiokafka.client
import pytest

from worker.local.server import HOST

PIECE_BYTES = 16 * 1024


class Link:
    """Proxies of the brokers for the clients of one `client_id`; what goes to Kafka is slowed down."""

    def __init__(self, bytes_per_second: float) -> None:
        self.bytes_per_second = bytes_per_second
        self.open = 0
        self._servers: dict[tuple[str, int], asyncio.Server] = {}
        self._pipes: set[asyncio.Task[None]] = set()

    async def port(self, host: str, port: int) -> int:
        """Where the proxy of that broker listens."""
        if (host, port) not in self._servers:
            self._servers[host, port] = await asyncio.start_server(
                lambda reader, writer: self._serve(reader, writer, host, port), HOST, 0
            )
        return int(self._servers[host, port].sockets[0].getsockname()[1])

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, port: int) -> None:
        broker_reader, broker_writer = await asyncio.open_connection(host, port)
        self.open += 1
        pipes = {
            asyncio.create_task(self._pipe(reader, broker_writer, is_slow=True)),
            asyncio.create_task(self._pipe(broker_reader, writer, is_slow=False)),
        }
        self._pipes |= pipes
        await asyncio.wait(pipes, return_when=asyncio.FIRST_COMPLETED)
        for pipe in pipes:
            pipe.cancel()
        writer.close()
        broker_writer.close()
        self._pipes -= pipes
        self.open -= 1

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_slow: bool) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(PIECE_BYTES):
                if is_slow:
                    await asyncio.sleep(len(piece) / self.bytes_per_second)
                writer.write(piece)
                await writer.drain()

    async def close(self) -> None:
        """End all of it."""
        for server in self._servers.values():
            server.close()
        for pipe in self._pipes:
            pipe.cancel()


@contextlib.asynccontextmanager
async def narrow(monkeypatch: pytest.MonkeyPatch, client_id: str, bytes_per_second: float) -> AsyncIterator[Link]:
    """Kafka's clients of that `client_id` in this process are connected through a link."""
    link = Link(bytes_per_second)
    connect = aiokafka.client.create_conn

    async def through(host: str, port: int, **others: Any) -> Any:
        if others.get("client_id") == client_id:
            host, port = HOST, await link.port(host, port)
        return await connect(host, port, **others)

    monkeypatch.setattr(aiokafka.client, "create_conn", through)
    try:
        yield link
    finally:
        await link.close()
