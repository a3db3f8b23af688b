"""`demo`: everything real and embedded, a story told with it, and nothing left behind."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
from rich.markup import escape
from rich.rule import Rule

from schemas.topics import Topic, topic_name
from worker import migrations, topics
from worker.cli.console import err, out
from worker.cli.query import ask
from worker.cli.render import line, short_type, snapshot
from worker.cli.send import Prepared, Sender, make
from worker.cli.story import Scene, scenes
from worker.cli.tail import Tail, tail
from worker.errors import ConfigurationError
from worker.local.guarded import Command, guarded
from worker.local.server import HOST, free_port
from worker.local.services import Services, embedded
from worker.settings import ENV_PREFIX, Settings, load

SOURCE = "/demo"
USERS = ("grace", "ada")
OUTCOME_SECONDS_MAX = 30.0
READY_SECONDS_MAX = 60.0


async def demo(*, keep: bool) -> bool:
    """Tell the story; False where a scene had no outcome."""
    out.print(Rule("segmentation: commands from Kafka, applied in PostgreSQL, events to Kafka, exactly once"))
    async with embedded(say=_say) as services:
        address = f"{HOST}:{free_port()}"
        settings = load(
            kafka_bootstrap_servers=services.kafka_bootstrap_servers,
            database_url=services.database_url,
            http_address=address,
            topic_partitions=3,
        )
        _say("creating the schema and the topics")
        await asyncio.gather(migrations.upgrade(settings), topics.ensure(settings))
        _say("starting a worker")
        async with _worker(settings):
            good = await _tell(settings)
            await _show_users(settings)
            _suggest(services, address, keep=keep)
            if keep:
                await asyncio.Event().wait()
    return good


async def _tell(settings: Settings) -> bool:
    good = True
    async with tail(settings) as reading, Sender(settings) as sender:
        for scene in scenes(datetime.now(UTC)):
            good = await _play(scene, settings, reading, sender) and good
        return await _await(reading, set(), {"segment.populated"}) and good


async def _play(scene: Scene, settings: Settings, reading: Tail, sender: Sender) -> bool:
    """Send what the scene has, and print events until its outcome is among them."""
    if scene.caption:
        out.print(f"\n[bold cyan]{escape(scene.caption)}[/]")
    if scene.raw is not None:
        out.print(f"  [dim]>[/] {escape(scene.raw.decode())}")
        topic = topic_name(settings.topic_prefix, Topic.MEMBERSHIP_COMMANDS)
        await sender.send_raw(topic, Prepared("raw", "membership.change", b"ada", scene.raw, []))
        return await _await(reading, set(), {"command.rejected"})
    out.print(f"  [dim]>[/] segmentation send {scene.type} [green]'{escape(json.dumps(scene.data))}'[/]")
    command = make({"type": scene.type, "data": scene.data, "id": scene.id}, SOURCE)
    await sender.send(command)
    await sender.flush()
    if scene.is_repeated:
        return True
    return await _await(reading, {command.id}, set())


async def _await(reading: Tail, causes: set[str], types: set[str]) -> bool:
    """Print events until one has such a cause, or is of such a type."""
    try:
        async with asyncio.timeout(OUTCOME_SECONDS_MAX):
            while True:
                found = False
                for event in await reading.poll():
                    out.print("  [dim]<[/] " + line(event).replace("\n", "\n    "))
                    found = found or event.get("causationid") in causes or short_type(event) in types
                if found:
                    return True
    except TimeoutError:
        err.print(f"[bold red]no outcome within {OUTCOME_SECONDS_MAX:.0f} s[/]")
        return False


async def _show_users(settings: Settings) -> None:
    out.print("\n[bold cyan]In the end[/]")
    for user_id in USERS:
        event = await ask(settings, user_id, OUTCOME_SECONDS_MAX)
        if event is not None:
            out.print(snapshot(event))


def _suggest(services: Services, address: str, *, keep: bool) -> None:
    out.print(Rule())
    if not keep:
        out.print(
            "[bold]Next[/]: `make demo KEEP=1` (or `segmentation demo --keep`) stays up and tells how to talk to it;"
        )
        out.print("README.md goes through each use; docs/contract-reference.md has every command and event.")
        return
    out.print("It stays up until Ctrl-C. In another terminal, in this folder:\n")
    out.print("  . .venv/bin/activate")
    out.print(f"  export {ENV_PREFIX}KAFKA_BOOTSTRAP_SERVERS={services.kafka_bootstrap_servers}")
    out.print(f"  export {ENV_PREFIX}DATABASE_URL={services.database_url}\n")
    out.print("  segmentation watch")
    out.print("""  segmentation send membership.change '{"user_id": "grace", "add": ["beta"]}' --wait""", markup=False)
    out.print("  segmentation query grace")
    out.print(f"  curl http://{address}/metrics")


@contextlib.asynccontextmanager
async def _worker(settings: Settings) -> AsyncIterator[None]:
    """A worker process that ends with this one, after it was ready."""
    url = settings.database_url.get_secret_value()
    environment = {
        f"{ENV_PREFIX}KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
        f"{ENV_PREFIX}DATABASE_URL": url,
        f"{ENV_PREFIX}HTTP_ADDRESS": settings.http_address,
        f"{ENV_PREFIX}LOG_FORMAT": "json",
    }
    with tempfile.TemporaryDirectory(prefix="segmentation-worker-") as folder:
        async with guarded() as guard:
            process = await guard.start(
                Command(
                    name="worker",
                    arguments=[sys.executable, "-m", "worker", "run"],
                    log=Path(folder) / "worker.log",
                    directory=Path.cwd(),
                    end_signal=signal.SIGTERM,
                    environment=environment,
                )
            )
            ready = asyncio.create_task(_ready(settings.http_address))
            parts: set[asyncio.Future[Any]] = {ready, process.exit}
            await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED, timeout=READY_SECONDS_MAX)
            if not ready.done():
                ready.cancel()
                raise ConfigurationError(f"The worker did not start; the end of its log:\n{process.tail()}")
            yield
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGTERM)
            await asyncio.wait({process.exit}, timeout=READY_SECONDS_MAX)


async def _ready(address: str) -> None:
    """Wait until /readyz says so."""
    async with aiohttp.ClientSession() as session:
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(f"http://{address}/readyz") as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(0.05)


def _say(text: str) -> None:
    out.print(f"[dim]{escape(text)} …[/]")
