"""For operators: run, migrate, topics, reset."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Literal

from worker import app, logs, migrations, reset
from worker import topics as kafka_topics
from worker.cli.console import out
from worker.errors import ConfigurationError
from worker.settings import load


def run_worker() -> None:
    """Run the worker on the fastest event loop there is."""
    if not __debug__:
        raise ConfigurationError(
            "Don't run Python with -O or PYTHONOPTIMIZE: the Kafka client checks itself by asserts"
        )
    settings = load()
    logs.configure(settings)
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
        out.print(f"applied {revision}")
    if not applied:
        out.print("the database is up to date")


async def topics() -> None:
    """Create what is missing."""
    settings = load()
    created = await kafka_topics.ensure(settings)
    for name in created:
        out.print(f"created {name}")
    out.print(f"all topics of {settings.topic_prefix} are as they must be")


async def reset_positions(topic: str, partition: int, to: str) -> None:
    """Move a partition."""
    before, after = await reset.positions(load(), topic, partition, to)
    out.print(f"{topic}:{partition} is read on from offset {after} (before: {'none' if before is None else before})")


async def reset_relay(to: Literal["kafka", "database"]) -> None:
    """Move the relay."""
    noted, sequence = await reset.relay(load(), to)
    out.print(f"the relay goes on after sequence {sequence} (PostgreSQL had noted {noted})")


async def reset_deployment() -> None:
    """Take the database over."""
    before, now = await reset.ownership(load())
    for name, value in now.items():
        out.print(f"{name} {value} (before: {before[name] if before else 'none'})")
