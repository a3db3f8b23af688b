"""Commands that ask and change nothing. Like commands.py a table; heavy imports wait until a command runs."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from worker.cli.console import EXIT_FAILED, run

questions = typer.Typer()

Wait = Annotated[float, typer.Option("--timeout", min=0.1, help="Longest wait for an answer, seconds.")]
Since = Annotated[
    str | None, typer.Option(metavar="YYYY-MM", help="Read the journal back to this month (UTC), and no further.")
]
UserId = Annotated[str, typer.Argument(metavar="USER_ID")]


@questions.command(epilog="Example: `segmentation query ada --json`")
def query(
    user_id: UserId,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer's data as JSON.")] = False,
    timeout: Wait = 30.0,
) -> None:
    """Ask the worker for a user's active segments."""
    from worker.cli import query as asking

    if not run(asking.query(user_id, timeout, as_json=as_json)):
        raise typer.Exit(EXIT_FAILED)


@questions.command(epilog="Example: `segmentation why ada beta`")
def why(
    user_id: UserId,
    segment: Annotated[str, typer.Argument(metavar="SEGMENT")],
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Lines of the story, the newest ones.")] = 20,
    since: Since = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Say why a user is in a segment or not, and how that came about. Reads PostgreSQL only."""
    from schemas import values
    from worker.cli.why import journal
    from worker.cli.why.command import why as explain

    months = journal.Months(_month(since, "--since"))
    wanted = value_of(user_id, values.UserId, "USER_ID"), value_of(segment, values.Segment, "SEGMENT")
    run(explain(*wanted, limit=limit, months=months, as_json=as_json))


@questions.command(epilog="Example: `segmentation history ada --limit 50`")
def history(
    user_id: UserId,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="So many of the newest changes.")] = 20,
    before: Annotated[
        int | None, typer.Option(metavar="SEQUENCE", min=1, help="Only what is older than this number.")
    ] = None,
    since: Since = None,
    until: Annotated[str | None, typer.Option(metavar="YYYY-MM", help="Leave later months (UTC) out.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object a line.")] = False,
) -> None:
    """List what happened to a user, also commands that were rejected, newest first. Reads PostgreSQL only."""
    from schemas import values
    from worker.cli import history as telling
    from worker.cli.why import journal

    months = journal.Months(_month(since, "--since"), _month(until, "--until"))
    user_id = value_of(user_id, values.UserId, "USER_ID")
    run(telling.history(user_id, limit=limit, before=before, months=months, as_json=as_json))


def _month(text: str | None, option: str) -> str | None:
    from worker.cli.why import journal

    try:
        if text is not None:
            journal.begin(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None
    return text


def value_of(text: str, kind: Any, name: str) -> str:
    """The text as the contract's commands take it."""
    from pydantic import TypeAdapter, ValidationError

    from schemas.sentences import field_errors

    try:
        adapter: TypeAdapter[str] = TypeAdapter(kind)
        return adapter.validate_python(text)
    except ValidationError as error:
        raise typer.BadParameter(field_errors(error, {})[0].message, param_hint=name) from None
