"""Commands about segments. Like commands.py a table; heavy imports wait until a command runs."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from worker.cli.commands_ask import value_of
from worker.cli.console import run

listing = typer.Typer()

Json = Annotated[bool, typer.Option("--json", help="A JSON object a line.")]
Name = Annotated[str, typer.Argument(metavar="SEGMENT")]


class Sort(StrEnum):
    """What `segments` are sorted by."""

    NAME = "name"
    MEMBERS = "members"
    CREATED = "created"


class Origin(StrEnum):
    """How a member came in."""

    COMMAND = "command"
    ROLLOUT = "rollout"


@listing.command(epilog="Example: `segmentation segments --owner web --sort members`")
def segments(
    owner: Annotated[str | None, typer.Option(help="Only this owner's.")] = None,
    tag: Annotated[str | None, typer.Option(help="Only those with this tag.")] = None,
    match: Annotated[str | None, typer.Option(help="Only those with this text in name or description.")] = None,
    sort: Annotated[Sort, typer.Option(help="By name, or the most members or the newest first.")] = Sort.NAME,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="So many at most.")] = 100,
    deleted: Annotated[bool, typer.Option("--deleted", help="Deleted ones too.")] = False,
    as_json: Json = False,
) -> None:
    """List segments with their members and what changed today. Reads PostgreSQL only."""
    from worker.cli import segments as telling

    wanted = telling.Wanted(owner, tag, match, deleted, sort.value, limit)
    run(telling.segments(wanted, as_json=as_json))


@listing.command(epilog="Example: `segmentation segment beta`")
def segment(name: Name, as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False) -> None:
    """Print all about one segment: members, percent, the last 30 days, its last changes. Reads PostgreSQL only."""
    from schemas import values
    from worker.cli import segments as telling

    run(telling.segment(value_of(name, values.Segment, "SEGMENT"), as_json=as_json))


@listing.command(epilog="Example: `segmentation members beta --all --csv > beta.csv`")
def members(
    name: Name,
    origin: Annotated[Origin | None, typer.Option(help="Only those who came in this way.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="So many at most.")] = 100,
    everyone: Annotated[bool, typer.Option("--all", help="All of them, whatever their number.")] = False,
    as_json: Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV with a header.")] = False,
) -> None:
    """List a segment's active users, in the order in which they became known. Reads PostgreSQL only."""
    from schemas import values
    from worker.cli import segments as telling

    if as_json and as_csv:
        raise typer.BadParameter("--json and --csv exclude each other")
    form = "json" if as_json else "csv" if as_csv else "table"
    name = value_of(name, values.Segment, "SEGMENT")
    run(telling.members(name, origin.value if origin else None, None if everyone else limit, form))
