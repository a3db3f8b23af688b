"""`segmentation`: the table of all commands. Heavy imports wait until a command runs, so that --help is quick."""

from __future__ import annotations

from decimal import Decimal
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from worker.cli.commands_ask import questions
from worker.cli.commands_import import importing
from worker.cli.commands_report import reporting
from worker.cli.commands_segments import listing
from worker.cli.commands_send import sending
from worker.cli.commands_state import keeping
from worker.cli.console import EXIT_FAILED, err, failing, out, run, typed_percent, write


class Commands(TyperGroup):
    """The commands, with a word about arguments that look like options."""

    def invoke(self, ctx: Any) -> Any:
        """Run the one that is named."""
        try:
            return super().invoke(ctx)
        except TyperException as error:
            option = getattr(error, "option_name", None)  # what looks like an option, and is none
            if option is not None and not getattr(error, "possibilities", None):
                error.message += f". If it is an argument, such as a user id, write -- before it: … -- {option}"
            raise


app = typer.Typer(
    cls=Commands,
    name="segmentation",
    help="Puts users into segments: commands from Kafka, applied in PostgreSQL, events to Kafka, exactly once.",
    epilog="Settings are environment variables: see `segmentation settings`. Try `segmentation demo` first.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
reset = typer.Typer(help="Decide where to go on when Kafka and PostgreSQL contradict each other.", no_args_is_help=True)
app.add_typer(reset, name="reset")
app.add_typer(sending)  # the commands of these stand beside the others
app.add_typer(questions)
app.add_typer(listing)
app.add_typer(importing)
app.add_typer(reporting)
app.add_typer(keeping)

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def _version(wanted: bool) -> None:
    if wanted:
        try:
            out.print(f"segmentation {version('segmentation')}")
        except PackageNotFoundError:
            out.print("segmentation, from a checkout that is not installed")
        raise typer.Exit


def _events(incomplete: str) -> list[str]:
    from schemas.events import EVENTS

    return [name for name in EVENTS if name.startswith(incomplete)]


@app.callback()
def main(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """Puts users into segments: commands from Kafka, applied in PostgreSQL, events to Kafka, exactly once."""


@app.command("run", epilog="Example: `SEGMENTATION_DATABASE_URL=postgresql://db/segmentation segmentation run`")
def run_worker() -> None:
    """Run one worker until SIGTERM or SIGINT; start more of them to share the work."""
    from worker.cli import operate

    with failing():
        operate.run_worker()


@app.command(epilog="Example: `segmentation migrate && segmentation topics && segmentation run`")
def migrate() -> None:
    """Bring the database's schema to this version; safe to run again, and by several at once."""
    from worker.cli import operate

    run(operate.migrate())


@app.command(epilog="Example: `SEGMENTATION_TOPIC_PARTITIONS=24 segmentation topics`")
def topics() -> None:
    """Create the topics that are missing, and check the others."""
    from worker.cli import operate

    run(operate.topics())


@app.command(epilog="Example: `segmentation watch --user ada --from-beginning`")
def watch(
    from_beginning: Annotated[bool, typer.Option("--from-beginning", help="Start with the oldest event kept.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object a line, as always to a pipe.")] = False,
    user: Annotated[str | None, typer.Option(help="Only events about this user.")] = None,
    segment: Annotated[str | None, typer.Option(help="Only events that name this segment.")] = None,
    event_type: Annotated[
        str | None,
        typer.Option("--type", help="Only events of this type, such as command.rejected.", autocompletion=_events),
    ] = None,
    count: Annotated[int | None, typer.Option(min=1, help="End after so many events.")] = None,
    timeout: Annotated[
        float | None, typer.Option(min=0.1, help="End after so many seconds; an error before --count events.")
    ] = None,
) -> None:
    """Print events as they come, until interrupted."""
    from schemas.envelope import unqualified
    from schemas.events import EVENTS
    from worker.cli import watch as watching

    wanted = event_type and unqualified(event_type)
    if wanted and wanted not in EVENTS:
        raise typer.BadParameter(f"must be one of {', '.join(EVENTS)}", param_hint="--type")
    chosen = watching.Choice(user, segment, wanted)
    as_json = as_json or not out.is_terminal
    good = run(watching.watch(chosen, from_beginning=from_beginning, as_json=as_json, count=count, seconds_max=timeout))
    if good is False:
        raise typer.Exit(EXIT_FAILED)


@app.command(epilog="Example: `segmentation services --directory data`, its lines then pasted into another terminal")
def services(
    directory: Annotated[
        Path | None, typer.Option(help="Keep the data in this folder; a temporary one if none.")
    ] = None,
) -> None:
    """Start embedded Kafka and PostgreSQL, print their settings as `export` lines, and stay until interrupted."""
    from worker.local.services import serve

    run(serve(directory, write, lambda text: err.print(text, style="dim", markup=False)))


@app.command(epilog="Example: `segmentation demo --keep`, then in another terminal `segmentation watch`")
def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Stay up afterwards, to be talked to.")] = False,
) -> None:
    """Start everything, tell a small story that shows every command; only its report stays, in demo-report/."""
    from worker.cli import demo as showing

    good = run(showing.demo(keep=keep))
    if not (good or (good is None and keep)):
        raise typer.Exit(EXIT_FAILED)


@app.command(epilog="Example: `segmentation jobs`")
def jobs(
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object a line.")] = False,
) -> None:
    """List what runs by itself: jobs, rollouts and deletions, with how far they are and how they ended."""
    from worker.cli import jobs as background

    run(background.jobs(as_json=as_json))


@app.command(epilog="Example: `segmentation preview 12.5 --segment beta`")
def preview(
    percent: Annotated[str, typer.Argument(metavar="PERCENT", help="0 to 100, two decimals at most.")],
    segment: Annotated[str | None, typer.Option(help="An existing segment; a new one if none is named.")] = None,
) -> None:
    """Say how many users a percent would bring in and send out, without doing it."""
    from worker.cli import jobs as background

    run(background.preview(_percent(percent), segment))


@app.command(epilog="Example: `SEGMENTATION_USERS=any segmentation settings`")
def settings(
    markdown: Annotated[bool, typer.Option("--markdown", help="Write docs/settings.md's text.")] = False,
    env: Annotated[bool, typer.Option("--env", help="Write .env.example's text.")] = False,
) -> None:
    """List all settings: variable, value, default, meaning and unit; secrets are masked."""
    from worker.cli import settings_page

    with failing():
        if markdown or env:
            write((settings_page.markdown() if markdown else settings_page.env_file()).rstrip("\n"))
        else:
            settings_page.listing()


@reset.command(
    "positions", epilog="Example: `segmentation reset positions segmentation.membership-commands:0 --to earliest`"
)
def reset_positions(
    place: Annotated[str, typer.Argument(metavar="TOPIC[:PARTITION]", help="All partitions if none is named.")],
    to: Annotated[str, typer.Option("--to", help="`earliest`, `latest` or an offset.")],
    yes: Yes = False,
) -> None:
    """Say where a partition, or a whole topic, of commands is read on; a running worker takes notice."""
    from worker.cli import operate

    topic, colon, partition = place.partition(":")
    if not topic or (colon and not (partition.isascii() and partition.isdigit())):
        raise typer.BadParameter("must be TOPIC or TOPIC:PARTITION, such as segmentation.membership-commands:0")
    if not (colon or to in ("earliest", "latest")):
        raise typer.BadParameter("must be earliest or latest for a whole topic", param_hint="--to")
    if to not in ("earliest", "latest") and not (to.isascii() and to.isdigit()):
        raise typer.BadParameter("must be earliest, latest or an offset", param_hint="--to")
    _confirm(yes, f"Read {place} on from {to}? Commands may be skipped, or read again, for good.")
    run(operate.reset_positions(topic, int(partition) if colon else None, to))


@reset.command("relay", epilog="Example: `segmentation reset relay --to kafka`, with all workers stopped")
def reset_relay(
    to: Annotated[str, typer.Option("--to", help="Whose word counts: `kafka` or `database`; or a sequence number.")],
    yes: Yes = False,
) -> None:
    """Say after which event the relay goes on: the last one in Kafka, the last one that PostgreSQL noted, or any."""
    from worker.cli import operate

    if to not in ("kafka", "database") and not (to.isascii() and to.isdigit()):
        raise typer.BadParameter("must be kafka, database or a sequence number", param_hint="--to")
    said = "what Kafka holds" if to == "kafka" else "what the database noted" if to == "database" else f"sequence {to}"
    _confirm(yes, f"Go on publishing after {said}? Events may be skipped, or published again.")
    run(operate.reset_relay(to))


@reset.command("deployment", epilog="Example: `segmentation reset deployment`, with all workers stopped")
def reset_deployment(yes: Yes = False) -> None:
    """Give the database to the Kafka cluster, topic prefix and group that the settings name."""
    from worker.cli import operate

    _confirm(yes, "Give the database to this deployment? Two deployments on one database skip each other's commands.")
    run(operate.reset_deployment())


def _confirm(yes: bool, question: str) -> None:
    if not yes:
        typer.confirm(question, abort=True, err=True)


def _percent(text: str) -> Decimal:
    percent = typed_percent(text)
    if percent is None:
        raise typer.BadParameter("must be a number from 0 to 100 with two decimals at most", param_hint="PERCENT")
    return percent
