"""The commands about the topic of states. Like commands.py a table; heavy imports wait until a command runs."""

from __future__ import annotations

from typing import Annotated

import typer

from worker.cli.commands_ask import Wait
from worker.cli.console import EXIT_FAILED, run

keeping = typer.Typer()


@keeping.command(epilog="Example: `segmentation snapshot --wait`")
def snapshot(
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it is written.")] = False,
    timeout: Wait = 600.0,
) -> None:
    """Have the state of all users who are in a segment written to the topic `memberships` again."""
    from worker.cli import snapshot as writing

    if not run(writing.snapshot(seconds_max=timeout if wait else None)):
        raise typer.Exit(EXIT_FAILED)
