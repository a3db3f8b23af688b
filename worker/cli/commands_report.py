"""The commands about reports. Like commands.py a table; heavy imports wait until a command runs."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from worker.cli.console import EXIT_FAILED, run

reporting = typer.Typer()

REPORT_SECONDS_MAX = 3_600.0


@reporting.command(epilog="Example: `segmentation report 2026-10`")
def report(
    month: Annotated[str, typer.Argument(metavar="YYYY-MM")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the event's data as JSON.")] = False,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0.1, help="Longest wait for it, seconds.")
    ] = REPORT_SECONDS_MAX,
) -> None:
    """Ask the workers for a month's report now (the running month's too) and print its link."""
    from worker.cli import reports
    from worker.reports.months import Month

    found = re.fullmatch(r"(\d{4})-(0[1-9]|1[0-2])", month, re.ASCII)
    if not found or int(found[1]) < 1970:
        raise typer.BadParameter("must be YYYY-MM, such as 2026-10", param_hint="YYYY-MM")
    if not run(reports.request(Month(int(found[1]), int(found[2])), timeout, as_json=as_json)):
        raise typer.Exit(EXIT_FAILED)


@reporting.command(epilog="Example: `segmentation reports`")
def reports(as_json: Annotated[bool, typer.Option("--json", help="A JSON object a line.")] = False) -> None:
    """List the months' reports: state, rows, links, and what went wrong."""
    from worker.cli import reports as listing

    run(listing.listing(as_json=as_json))


@reporting.command(epilog="Example: `segmentation doctor`, before the month ends")
def doctor() -> None:
    """Check all that a worker needs: PostgreSQL, Kafka, and whether a report can be stored and made public."""
    from worker.cli import doctor as looking

    if not run(looking.doctor()):
        raise typer.Exit(EXIT_FAILED)
