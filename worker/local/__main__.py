"""`python -m worker.local [FOLDER]`: the embedded services, until interrupted."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from worker.errors import WorkerError
from worker.local.services import serve


async def main() -> int:
    """Serve until SIGINT or SIGTERM."""
    serving = asyncio.ensure_future(
        serve(
            Path(sys.argv[1]) if len(sys.argv) > 1 else None,
            lambda line: print(line, flush=True),  # noqa: T201
            lambda text: print(text, file=sys.stderr, flush=True),  # noqa: T201
        )
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, serving.cancel)
    try:
        await serving
    except asyncio.CancelledError:
        return 0
    except WorkerError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    return 0


sys.exit(asyncio.run(main()))
