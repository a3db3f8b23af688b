"""Commands that send, now or for later. Like commands.py a table; heavy imports wait until a command runs."""

from __future__ import annotations

from typing import Annotated

import typer

from worker.cli.commands_ask import Wait, value_of
from worker.cli.console import EXIT_FAILED, run

sending = typer.Typer()

Source = Annotated[str, typer.Option(help="The command's source.")]


def _commands(incomplete: str) -> list[str]:
    from schemas.commands import COMMANDS

    return [name for name in (*COMMANDS, "-") if name.startswith(incomplete)]


@sending.command(
    epilog="""Example: `segmentation send membership.change '{"user_id": "ada", "add": ["beta"], "ttl": "P7D"}' --wait`

Example: `segmentation send segment.delete '{"segment": "beta"}' --at 2027-01-01T00:00:00Z`

Example: `segmentation send - --wait < commands.jsonl`"""
)
def send(
    command_type: Annotated[
        str,
        typer.Argument(
            metavar="TYPE",
            help="A command such as `membership.change`, or `-` for standard input.",
            autocompletion=_commands,
        ),
    ],
    data: Annotated[str | None, typer.Argument(metavar="JSON", help="The command's data.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for what becomes of it, and print that.")] = False,
    timeout: Wait = 30.0,
    command_id: Annotated[str | None, typer.Option("--id", help="The command's id; a random UUID if none.")] = None,
    source: Source = "/segmentation/send",
    at: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="When it takes effect: RFC 3339 with a zone, or such as P1D; at once if none."
        ),
    ] = None,
) -> None:
    """Send a command, or with `-` a JSON object a line: `{"type": …, "data": …}`, and also id, source, effectiveat, …

    It is checked before it leaves. With --wait, one that was rejected makes the exit code 1.
    """
    from worker.cli.send_lines import send_lines
    from worker.cli.send_one import send_one

    if command_type == "-":
        if data is not None or command_id is not None or at is not None:
            raise typer.BadParameter("with `-` the data, the ids and the times are in the lines of standard input")
        good = run(send_lines(source, timeout if wait else None))
    else:
        good = run(send_one(command_type, data, command_id, source, timeout if wait else None, at))
    if not good:
        raise typer.Exit(EXIT_FAILED)


@sending.command(epilog="Example: `segmentation ramp beta 1,5,25,100 --every P1D --from 2027-01-04T09:00:00+01:00`")
def ramp(
    segment: Annotated[str, typer.Argument(metavar="SEGMENT")],
    percents: Annotated[str, typer.Argument(metavar="PERCENTS", help="The steps, such as 1,5,25,100.")],
    every: Annotated[str, typer.Option(metavar="DURATION", help="From step to step, ISO 8601, such as P1D.")],
    begin: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="TIME", help="The first step: RFC 3339 with a zone, or such as P1D; now if none."
        ),
    ] = None,
    timeout: Wait = 30.0,
    source: Source = "/segmentation/ramp",
) -> None:
    """Raise a segment's percent step by step: a command for each, which takes effect at its time.

    The others are sent once the first was taken: if that is rejected, nothing is scheduled.
    """
    from schemas import values
    from worker.cli import ramp as ramping

    wanted = ramping.Ramp(value_of(segment, values.Segment, "SEGMENT"), percents, every, begin)
    if not run(ramping.ramp(wanted, source, timeout)):
        raise typer.Exit(EXIT_FAILED)


@sending.command(epilog="Example: `segmentation unschedule spring-end`")
def unschedule(
    command_id: Annotated[str, typer.Argument(metavar="ID", help="The id of the command, as `schedule` lists it.")],
    of_source: Annotated[str | None, typer.Option("--source", help="Its source, where several have that id.")] = None,
    timeout: Wait = 30.0,
) -> None:
    """Take a command back that is yet to take effect."""
    from worker.cli import schedule as scheduling

    if not run(scheduling.unschedule(command_id, of_source, timeout)):
        raise typer.Exit(EXIT_FAILED)


@sending.command(epilog="Example: `segmentation schedule --segment beta`")
def schedule(
    segment: Annotated[str | None, typer.Option(help="Only commands that name this segment.")] = None,
    user: Annotated[str | None, typer.Option(help="Only commands about this user.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="So many at most, the soonest.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object a line.")] = False,
) -> None:
    """List the commands that are yet to take effect. Reads PostgreSQL only."""
    from schemas import values
    from worker.cli import schedule as scheduling

    segment = value_of(segment, values.Segment, "--segment") if segment is not None else None
    user = value_of(user, values.UserId, "--user") if user is not None else None
    run(scheduling.listing(segment, user, limit, as_json=as_json))
