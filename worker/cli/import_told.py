"""What a person is told of imports: the table of all, what was sent, what came of it, how one goes on."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from schemas.encode import encode_data
from worker.cli.console import complain, counted, err, out, plain, show, write
from worker.cli.import_input import REASONS_SHOWN, Rejects
from worker.cli.render import local_time
from worker.postgres.session import Database, Record
from worker.settings import load

LEFT_OUT = (
    ("unknown", "unknown", "are not known", "--register takes them"),
    (
        "too_many_segments",
        "in too many segments",
        "are in as many segments as a user may be",
        "see SEGMENTATION_SEGMENTS_OF_USER_MAX",
    ),
)
"""Whom an import counts and leaves out: the word for them, why, and what to do about it."""


async def listing(*, as_json: bool) -> None:
    """Print every import that is remembered, with its progress."""
    session = Database(load()).session("imports")
    try:
        found = await session.fetch("imports_list", None)
    finally:
        await session.close()
    if as_json:
        for row in found:
            write(document(row))
        return
    if not found:
        out.print("nothing was imported yet; `segmentation import SEGMENT FILE` does")
        return
    table = Table("import", "segment", "mode", "state", "began", "received", "applied", "changed", box=SIMPLE_HEAD)
    for row in found:
        changed = f"+{row['entered']:,} -{row['exited']:,} ~{row['renewed']:,}"
        cells = (
            row["import"],
            row["segment"],
            row["mode"],
            row["failure"] or row["state"],
            local_time(row["began_at"]),
        )
        table.add_row(*map(plain, cells), f"{row['received']:,}", f"{row['users']:,}", changed)
    show(table)


def document(row: Record) -> str:
    """An import as a line of JSON."""
    return encode_data(dict(row) | {"segment_id": str(row["segment_id"])}).decode()


def outcome(row: Record) -> None:
    """Say what came of an import that has ended."""
    if row["state"] == "failed":
        complain(f"import {row['import']} has failed: {row['failure']}")
        return
    counts = [f"{row[name]:,} {name}" for name in ("entered", "exited", "renewed", "unchanged", "registered")]
    counts += [f"{row[name]:,} {word}" for name, word, _, _ in LEFT_OUT if row[name]]
    users = counted(row["users"], "user ids")
    out.print(Text.assemble((plain(row["segment"]), "bold magenta"), f"  {users}: {', '.join(counts)}"))
    for name, _, why, advice in LEFT_OUT:
        if row[name]:
            sample = ", ".join(map(plain, row[f"{name}_sample"][:REASONS_SHOWN]))
            out.print(Text(f"{row[name]:,} {why} and were left out, such as {sample}; {advice}"))


def summary(name: str, rejects: Rejects, rejects_file: str | None, sent: int, before: int = 0) -> None:
    """Say what was read and sent, `before` of it by an earlier run, and show the first rows that were left out."""
    earlier = f" ({before:,} of them before)" if before else ""
    err.print(Text(f"import {plain(name)}: {sent:,} user ids sent{earlier}, {rejects.count:,} rows left out", "dim"))
    left_out(rejects, rejects_file)


def left_out(rejects: Rejects, rejects_file: str | None) -> None:
    """Show what is odd, and the first rows that were left out, and say where all of them are."""
    for note in rejects.notes:
        err.print(Text(plain(note), "yellow"))
    for row in rejects.first:
        err.print(Text(f"row {row.number:,}: {plain(row.text)[:80]}: {row.reason}", "yellow"))
    if rejects.count > len(rejects.first):
        err.print(Text("… all of them: " + ("--rejects FILE" if rejects_file is None else plain(rejects_file))))


def emptiness(segment: str, mode: str, rejects: Rejects) -> None:
    """Complain of a list without a user id, which is not begun."""
    rows = f", {counted(rejects.count, 'rows')} left out" if rejects.count else ""
    begin = f"the list has no user ids{rows}: nothing was begun"
    if mode == "replace":
        complain(
            f"{begin}; with --mode replace it takes everyone out of {segment} who is a member by command: if that is "
            "meant, say --allow-empty"
        )
    else:
        complain(f"{begin}, for there is nobody to {mode}")


def staying(name: str) -> str:
    """How an import goes on that is not committed yet."""
    name = plain(name)
    return (
        f"import {name} is not committed, and nothing of it applied: the same command with --id {name} goes on where "
        f"it was, `segmentation imports --cancel {name}` drops it; otherwise it is dropped when "
        "SEGMENTATION_IMPORT_SECONDS_MAX is over"
    )


def committed(name: str) -> str:
    """How an import goes on that is."""
    return (
        f"the commit of import {plain(name)} was sent: the list is applied without this command, "
        "`segmentation imports` says how far it is"
    )
