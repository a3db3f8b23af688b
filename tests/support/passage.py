"""A way to a server that opens late: until then nothing listens at its beginning."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from worker.local.server import HOST


@contextlib.asynccontextmanager
async def passage(port: int, target: str) -> AsyncIterator[None]:
    """Until the end of the context, what comes to the port goes to the target."""
    host, _, number = target.rpartition(":")

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        other_reader, other_writer = await asyncio.open_connection(host, int(number))
        await asyncio.gather(_pump(reader, other_writer), _pump(other_reader, writer))

    async with await asyncio.start_server(pass_on, HOST, port):
        yield


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
    writer.close()
