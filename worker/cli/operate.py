"""For operators: run, migrate, topics, reset."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

import typer
from rich.markup import escape

from worker import app, reset
from worker.cli.console import EXIT_FAILED, out
from worker.errors import ConfigurationError, WorkerError
from worker.kafka import topics as kafka_topics
from worker.observability import logs
from worker.postgres import migrations
from worker.settings import Settings, load

log = logs.logger(__name__)


def run_worker() -> None:
    """Run the worker on the fastest event loop there is."""
    if not __debug__:
        raise ConfigurationError(
            "Don't run Python with -O or PYTHONOPTIMIZE: the Kafka client checks itself by asserts"
        )
    logs.configure_start()
    with _told_in_the_log():
        settings = load(notice=_note)
        logs.configure(settings)
        _run(settings)


@contextlib.contextmanager
def _told_in_the_log() -> Iterator[None]:
    """A log of JSON lines is whole: the reason of an end is a line of it, too. On a terminal it is the last words."""
    try:
        yield
    except WorkerError as error:
        if not logs.is_json():
            raise
        for line in str(error).splitlines():
            log.error("the worker ends", error=line)
        raise typer.Exit(EXIT_FAILED) from error


def _note(sentence: str) -> None:
    log.warning("a variable is no setting", problem=sentence)


def _run(settings: Settings) -> None:
    factory = None
    with contextlib.suppress(ImportError):
        import uvloop  # noqa: PLC0415 - there is none for some platforms

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(app.run(settings))


async def migrate() -> None:
    """Apply what is missing."""
    applied = await migrations.upgrade(load())
    for revision in applied:
        out.print(f"[green]applied[/] {revision}")
    if not applied:
        out.print("the database is up to date")


async def topics() -> None:
    """Create what is missing."""
    settings = load()
    created = await kafka_topics.ensure(settings)
    for name, partitions in sorted((await kafka_topics.partitions(settings)).items()):
        done = "[green]created[/]" if name in created else "[dim]was there[/]"
        out.print(f"{done}  {name}  [dim]{partitions} partition{'' if partitions == 1 else 's'}[/]")


async def reset_positions(topic: str, partition: int | None, to: str) -> None:
    """Move a partition, or all of a topic's."""
    for place, before, after in await reset.positions(load(), topic, partition, to):
        name = f"{place.topic}:{place.partition}"
        out.print(f"{name}: next offset {'none' if before is None else before} → [bold]{after}[/]")


async def reset_relay(to: str) -> None:
    """Move the relay."""
    before, after = await reset.relay(load(), to)
    out.print(f"relay: goes on after sequence {before} → [bold]{after}[/]")
    if after > before:
        rows = f"row {after} is" if after == before + 1 else f"rows {before + 1} to {after} are"
        out.print(f"The journal's {rows} not published any more; what Kafka holds of them already stays there")


async def reset_deployment() -> None:
    """Take the database over."""
    before, after = await reset.ownership(load())
    for name, value in after.items():
        out.print(f"{name}: {escape(before[name]) if before else 'none'} → [bold]{escape(value)}[/]")
