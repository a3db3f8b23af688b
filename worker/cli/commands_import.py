"""Commands about imports. Like commands.py a table; heavy imports wait until a command runs."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated
from uuid import uuid4

import typer

from worker.cli.commands_ask import Wait, value_of
from worker.cli.console import EXIT_FAILED, run

importing = typer.Typer()

Patience = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        min=0.1,
        help="Longest wait for a worker's answer, seconds; 30 if none, and then without end while it is applied.",
    ),
]


class Mode(StrEnum):
    """What is done with the users on a list."""

    ADD = "add"
    REMOVE = "remove"
    REPLACE = "replace"


@importing.command("import", epilog="Example: `segmentation import beta users.csv --wait`")
def import_(
    segment: Annotated[str, typer.Argument(metavar="SEGMENT")],
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="Lines, CSV, NDJSON or Parquet; - is standard input.")
    ] = "-",
    mode: Annotated[
        Mode, typer.Option(help="Add them, remove them, or have them replace all members by command.")
    ] = Mode.ADD,
    ttl: Annotated[str | None, typer.Option(help="For how long, ISO 8601, such as P2M.")] = None,
    expires_at: Annotated[str | None, typer.Option(help="Until when, RFC 3339.")] = None,
    register: Annotated[bool, typer.Option("--register", help="Register users whom nobody knows.")] = False,
    column: Annotated[
        str | None, typer.Option(help="The column with the user ids: its name, or without a header its number.")
    ] = None,
    import_id: Annotated[
        str | None, typer.Option("--id", help="Names the import: again with the same file, it goes on.")
    ] = None,
    rejects: Annotated[str | None, typer.Option(help="File for the rows that are no user ids.")] = None,
    allow_empty: Annotated[
        bool, typer.Option("--allow-empty", help="Go on with a list of nobody; with replace, everyone leaves.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Until all is applied, and print what came of it.")] = False,
    timeout: Patience = None,
    as_json: Annotated[bool, typer.Option("--json", help="With --wait: the outcome as JSON.")] = False,
) -> None:
    """Bring a list of users into a segment, or out of it."""
    from schemas import values
    from worker.cli import import_list

    wanted = import_list.Wanted(
        segment=value_of(segment, values.Segment, "SEGMENT"),
        file=file,
        id=value_of(import_id, values.UserId, "--id") if import_id else str(uuid4()),
        mode=mode.value,
        ttl=ttl,
        expires_at=expires_at,
        registers=register,
        column=column,
        rejects=rejects,
        allows_empty=allow_empty,
        waits=wait,
        wait_seconds=timeout,
        as_json=as_json,
        has_chosen_id=import_id is not None,
    )
    if not run(import_list.load_list(wanted)):
        raise typer.Exit(EXIT_FAILED)


@importing.command(
    epilog="""Example: `segmentation imports`

Example: `segmentation imports --cancel week-48`"""
)
def imports(
    cancel: Annotated[
        str | None, typer.Option(metavar="ID", help="Drop this import; what it has changed before stays.")
    ] = None,
    timeout: Wait = 30.0,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object a line.")] = False,
) -> None:
    """List the imports: how far they are, and what became of them. Reads PostgreSQL only, or drops one."""
    if cancel is None:
        from worker.cli import import_told

        run(import_told.listing(as_json=as_json))
        return
    from schemas import values
    from worker.cli.import_pieces import SOURCE
    from worker.cli.send_one import send_one

    data = json.dumps({"import": value_of(cancel, values.UserId, "--cancel")})
    if not run(send_one("import.cancel", data, None, SOURCE, timeout)):
        raise typer.Exit(EXIT_FAILED)
