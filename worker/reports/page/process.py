"""The page of a month, rendered by a process of its own: drawing takes memory and holds the interpreter."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from worker.errors import WorkerError
from worker.reports.page import wire
from worker.reports.page.summary import Summary

RENDER_SECONDS_MAX = 120.0
COMPLAINT_CHARACTERS_MAX = 2_000
PROGRAM = "worker.reports.page.render"


class RenderingFailed(WorkerError):
    """A page could not be rendered; the text has what the process said of it."""


async def page(summary: Summary) -> bytes:
    """The page as UTF-8. The process ends with the call, however that ends; raises RenderingFailed."""
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-m",
            PROGRAM,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": _import_path()},
            start_new_session=True,  # Ctrl-C is ours to answer
        )
    except OSError as error:
        raise RenderingFailed(f"The page's process can't be started: {error}") from error
    try:
        async with asyncio.timeout(RENDER_SECONDS_MAX):
            content, complaint = await process.communicate(wire.write(summary))
    except TimeoutError:
        raise RenderingFailed(f"Rendering the page took more than {RENDER_SECONDS_MAX:g} s.") from None
    finally:
        await _end(process)
    if process.returncode != 0:
        said = complaint.decode(errors="replace").strip()[-COMPLAINT_CHARACTERS_MAX:]
        raise RenderingFailed(f"Rendering the page failed with exit code {process.returncode}: {said or 'no message'}")
    return content


def _import_path() -> str:
    """The process imports what this one does, whatever folder it is started in."""
    return os.pathsep.join(str(Path(place).absolute()) for place in sys.path)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
        await process.wait()
