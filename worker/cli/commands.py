"""`segmentation`: the table of all commands. Heavy imports wait until a command runs, so that --help is quick."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Literal

import typer

from worker.cli.console import EXIT_FAILED, err, failing, out, run

app = typer.Typer(
    name="segmentation",
    help="Puts users into segments: commands from Kafka, applied in PostgreSQL, events to Kafka, exactly once.",
    epilog="Settings are environment variables: see `segmentation settings`. Try `segmentation demo` first.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
reset = typer.Typer(help="Decide where to go on when Kafka and PostgreSQL contradict each other.", no_args_is_help=True)
app.add_typer(reset, name="reset")

Wait = Annotated[float, typer.Option("--timeout", min=0.1, help="Longest wait for an answer, seconds.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def _version(wanted: bool) -> None:
    if wanted:
        out.print(f"segmentation {version('segmentation')}")
        raise typer.Exit


@app.callback()
def main(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """Puts users into segments: commands from Kafka, applied in PostgreSQL, events to Kafka, exactly once."""


@app.command("run")
def run_worker() -> None:
    """Run one worker until SIGTERM or SIGINT; start more of them to share the work."""
    from worker.cli import operate

    with failing():
        operate.run_worker()


@app.command()
def migrate() -> None:
    """Bring the database's schema to this version; safe to run again, and by several at once."""
    from worker.cli import operate

    run(operate.migrate())


@app.command()
def topics() -> None:
    """Create the topics that are missing, and check the others."""
    from worker.cli import operate

    run(operate.topics())


@app.command()
def send(
    command_type: Annotated[
        str, typer.Argument(metavar="TYPE", help="A command such as `membership.change`, or `-` for standard input.")
    ],
    data: Annotated[str | None, typer.Argument(metavar="[JSON]", help="The command's data.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for what becomes of it, and print that.")] = False,
    timeout: Wait = 30.0,
    command_id: Annotated[str | None, typer.Option("--id", help="The command's id; a random UUID if none.")] = None,
    source: Annotated[str, typer.Option(help="The command's source.")] = "/segmentation/send",
) -> None:
    """Send a command, or with `-` a JSON object a line: `{"type": …, "data": …}`, and also id, source, time, …

    Example: `segmentation send membership.change '{"user_id": "u1", "add": ["beta"], "ttl": "P7D"}' --wait`
    """
    from worker.cli import send as sending

    if command_type == "-":
        good = run(sending.send_lines(source, timeout if wait else None))
    else:
        good = run(sending.send_one(command_type, data, command_id, source, timeout if wait else None))
    if not good:
        raise typer.Exit(EXIT_FAILED)


@app.command()
def watch(
    from_beginning: Annotated[bool, typer.Option("--from-beginning", help="Start with the oldest event kept.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object a line.")] = False,
    user: Annotated[str | None, typer.Option(help="Only events of this user.")] = None,
    segment: Annotated[str | None, typer.Option(help="Only events that name this segment.")] = None,
    event_type: Annotated[
        str | None, typer.Option("--type", help="Only events of this type, such as command.rejected.")
    ] = None,
    count: Annotated[int | None, typer.Option(min=1, help="End after so many events.")] = None,
) -> None:
    """Print events as they come, until interrupted."""
    from worker.cli import watch as watching

    chosen = watching.Choice(user, segment, event_type)
    run(watching.watch(chosen, from_beginning=from_beginning, as_json=as_json or not out.is_terminal, count=count))


@app.command()
def query(
    user_id: Annotated[str, typer.Argument(metavar="USER_ID")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer's data as JSON.")] = False,
    timeout: Wait = 30.0,
) -> None:
    """Ask the worker for a user's active segments."""
    from worker.cli import query as asking

    if not run(asking.query(user_id, timeout, as_json=as_json)):
        raise typer.Exit(EXIT_FAILED)


@app.command()
def services(
    directory: Annotated[
        Path | None, typer.Option(help="Keep the data in this folder; a temporary one if none.")
    ] = None,
) -> None:
    """Start embedded Kafka and PostgreSQL, print their settings as `export` lines, and stay until interrupted."""
    from worker.local.services import serve

    run(serve(directory, out.print, lambda text: err.print(f"[dim]{text}[/]")))


@app.command()
def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Stay up afterwards, to be talked to.")] = False,
) -> None:
    """Start everything, tell a small story that shows every command, and leave nothing behind."""
    from worker.cli import demo as showing

    if not run(showing.demo(keep=keep)):
        raise typer.Exit(EXIT_FAILED)


@app.command()
def settings(
    markdown: Annotated[bool, typer.Option("--markdown", help="Write docs/settings.md's text.")] = False,
) -> None:
    """List all settings: variable, value or default, meaning and unit."""
    from worker.cli import settings_page

    with failing():
        settings_page.show(as_markdown=markdown)


@reset.command("positions")
def reset_positions(
    place: Annotated[str, typer.Argument(metavar="TOPIC:PARTITION")],
    to: Annotated[str, typer.Option("--to", help="`earliest`, `latest` or an offset.")],
    yes: Yes = False,
) -> None:
    """Say where a partition of commands is read on; a running worker takes notice."""
    from worker.cli import operate

    topic, _, partition = place.rpartition(":")
    if not (topic and partition.isascii() and partition.isdigit()):
        raise typer.BadParameter("must be TOPIC:PARTITION, such as segmentation.membership-commands:0")
    if to not in ("earliest", "latest") and not (to.isascii() and to.isdigit()):
        raise typer.BadParameter("must be earliest, latest or an offset", param_hint="--to")
    _confirm(yes, f"Read {place} on from {to}? Commands may be skipped, or read again, for good.")
    run(operate.reset_positions(topic, int(partition), to))


@reset.command("relay")
def reset_relay(
    to: Annotated[Literal["kafka", "database"], typer.Option("--to", help="Whose word counts on what was published.")],
    yes: Yes = False,
) -> None:
    """Say after which event the relay goes on: the last one in Kafka, or the last one that PostgreSQL noted."""
    from worker.cli import operate

    _confirm(yes, f"Go on publishing after what {to} says? Events may be skipped, or published again.")
    run(operate.reset_relay(to))


@reset.command("deployment")
def reset_deployment(yes: Yes = False) -> None:
    """Give the database to the Kafka cluster, topic prefix and group that the settings name."""
    from worker.cli import operate

    _confirm(yes, "Give the database to this deployment? Two deployments on one database skip each other's commands.")
    run(operate.reset_deployment())


def _confirm(yes: bool, question: str) -> None:
    if not yes:
        typer.confirm(question, abort=True, err=True)
