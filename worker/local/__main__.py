"""`python -m worker.local [--directory FOLDER]`: the embedded services, until interrupted."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from worker.errors import WorkerError
from worker.local.services import serve


async def main(directory: Path | None) -> int:
    """Serve until SIGINT or SIGTERM; a second one ends at once."""
    loop = asyncio.get_running_loop()
    serving = asyncio.ensure_future(
        serve(
            directory,
            lambda line: print(line, flush=True),  # noqa: T201
            lambda text: print(text, file=sys.stderr, flush=True),  # noqa: T201
        )
    )

    def stop() -> None:
        serving.cancel()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    try:
        await serving
    except asyncio.CancelledError:
        return 0
    except WorkerError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m worker.local", description=__doc__)
    parser.add_argument("--directory", type=Path, help="keep the data in this folder; a temporary one if none")
    sys.exit(asyncio.run(main(parser.parse_args().directory)))
