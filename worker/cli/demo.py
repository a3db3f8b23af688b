"""`demo`: everything real and embedded, a story told with it, and nothing left behind but the report."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shlex
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
from rich.padding import Padding
from rich.rule import Rule
from rich.text import Text

from schemas.topics import Topic, topic_name
from worker.cli import demo_print, segments
from worker.cli.console import complain, out, show
from worker.cli.demo_scenes import REPEATED_ID, SOURCE, Scene, scenes
from worker.cli.query import ask
from worker.cli.render import short_type, snapshot
from worker.cli.sender import Sender, make
from worker.cli.states import states_of
from worker.cli.tail import Tail, tail
from worker.errors import ConfigurationError
from worker.kafka import topics
from worker.local.guarded import Command, Process, guarded
from worker.local.server import HOST, free_port
from worker.local.services import embedded
from worker.postgres import migrations
from worker.postgres.session import Database
from worker.settings import ENV_PREFIX, Settings, load

REPORT_FOLDER = "demo-report"
"""Below the current folder; the one thing that stays."""
USERS = ("grace", "ada")
COUNTED_SEGMENT, SEGMENTS_SHOWN = "discount-30", 10
OUTCOME_SECONDS_MAX = 30.0
COUNTED_POLL_SECONDS = 0.05
READY_SECONDS_MAX = 60.0


async def demo(*, keep: bool) -> bool:
    """Tell the story; False where a scene had no outcome."""
    show(Rule("segmentation"))
    async with embedded(say=_say) as services:
        settings = load(
            _env_prefix=f"{ENV_PREFIX}DEMO_",  # what the shell has for another deployment is not for this one
            kafka_bootstrap_servers=services.kafka_bootstrap_servers,
            database_url=services.database_url,
            http_address=f"{HOST}:{free_port()}",
            topic_partitions=3,
            report_storage=f"directory:{_folder()}",
            state_topic="on",
        )
        _say("creating the schema and the topics")
        await asyncio.gather(migrations.upgrade(settings), topics.ensure(settings))
        _say("starting a worker")
        async with _worker(settings) as process:
            telling = Telling(settings, process)
            good = await telling.tell()
            if not good:
                complain(f"the story broke off; the end of the worker's log:\n{process.tail()}")
            elif telling.report:
                demo_print.report(telling.report["link"], telling.report.get("page_link"))
            await _suggest(settings, keep=keep and good)
            if keep and good:
                good = await _until_it_ends(process)
    return good


async def _until_it_ends(process: Process) -> bool:
    """Stay up until a signal ends this; False once the worker has ended by itself."""
    await asyncio.wait({process.exit})  # which leaves the future alone when this is cancelled
    complain(f"the worker has ended; the end of its log:\n{process.tail()}")
    return False


class Telling:
    """One telling of the story."""

    def __init__(self, settings: Settings, process: Process) -> None:
        self._settings, self._process = settings, process
        self._causes: Counter[str] = Counter()
        self._types: set[str] = set()
        self.report: dict[str, Any] | None = None

    async def tell(self) -> bool:
        """Play all scenes and show what they have led to; False as soon as one has no outcome."""
        async with tail(self._settings) as reading, Sender(self._settings) as sender:
            for scene in scenes(datetime.now(UTC)):
                if not await self._play(scene, reading, sender):
                    return False
            if not await self._await(reading, set(), {"segment_deleted"}):
                return False
        if not await _counted(self._settings):
            return False
        out.print("\n[bold cyan]In the end[/]")
        for user_id in USERS:
            event = await ask(self._settings, user_id, OUTCOME_SECONDS_MAX)
            if event is None:
                return False
            show(Padding(snapshot(event), (0, 0, 0, 2)))
        demo_print.caption("The same, as whoever comes later finds it in the compacted topic `memberships`")
        for user_id, state in await states_of(self._settings, USERS):
            demo_print.state(user_id, state)
        return self._causes[REPEATED_ID] == 1

    async def _play(self, scene: Scene, reading: Tail, sender: Sender) -> bool:
        """Send what the scene has, and print events until its outcome is among them."""
        if scene.caption:
            demo_print.caption(scene.caption)
        if scene.raw is not None:
            demo_print.wrapped(Text(scene.raw.decode()), "  record ")
            topic = topic_name(self._settings.topic_prefix, Topic.MEMBERSHIP_COMMANDS)
            await sender.send_raw(topic, b"ada", scene.raw, [])
            self._types.discard("command.rejected")
            return await self._await(reading, set(), {"command.rejected"})
        self._types.discard(scene.until or "")
        at = (datetime.now(UTC) + scene.after).isoformat(timespec="milliseconds") if scene.after else None
        given = {"type": scene.type, "data": scene.data, "id": scene.id, "effectiveat": at}
        command = make(given, SOURCE, place=scene.place)
        typed = _typed(scene, at)
        for _ in range(2 if scene.is_repeated else 1):
            demo_print.command(typed)
            await sender.send(command)
        await sender.flush()
        if not await self._await(reading, {command.id}, set()):
            return False
        return scene.until is None or await self._await(reading, set(), {scene.until})

    async def _await(self, reading: Tail, causes: set[str], types: set[str]) -> bool:
        """Print events until one has such a cause, or is of such a type."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(OUTCOME_SECONDS_MAX):
                found = bool(self._types & types)  # it may have come while another was awaited
                while not (found or self._process.exit.done()):
                    for event in await reading.poll():
                        demo_print.event(event)
                        self._causes[str(event.get("causationid"))] += 1
                        if short_type(event) == "report.published":
                            self.report = event["data"]
                        kinds = {short_type(event), str(event["data"].get("reason"))}
                        self._types |= kinds
                        found = found or event.get("causationid") in causes or bool(kinds & types)
                if found:
                    return True
        ended = self._process.exit.done()
        complain("the worker has ended" if ended else f"no outcome within {OUTCOME_SECONDS_MAX:.0f} s")
        return False


def _typed(scene: Scene, at: str | None) -> list[str]:
    """The command as a person would send it."""
    if scene.type == "schedule.cancel" and scene.data:
        return ["segmentation", "unschedule", scene.data["command_id"]]
    typed = ["segmentation", "send", str(scene.type), json.dumps(scene.data)]
    typed += ["--id", scene.id] if scene.id else []
    return typed + (["--at", at] if at else [])


async def _counted(settings: Settings) -> bool:
    """How many are in each segment, as soon as all that was told is counted."""
    session = Database(settings).session("demo")
    try:
        async with asyncio.timeout(OUTCOME_SECONDS_MAX):
            state = await session.row("tally_behind")
            while state["behind"] or not state["is_begun"]:
                await asyncio.sleep(COUNTED_POLL_SECONDS)
                state = await session.row("tally_behind")
    except TimeoutError:
        complain(f"{state['behind']} changes were not counted within {OUTCOME_SECONDS_MAX:.0f} s")
        return False
    finally:
        await session.close()
    demo_print.caption("How many are in each segment, and who came and went; commands pay nothing for the counts")
    demo_print.command(["segmentation", "segments", "--sort", "members"])
    wanted = segments.Wanted(None, None, None, is_deleted_too=False, sort="members", limit=SEGMENTS_SHOWN)
    await segments.segments(wanted, as_json=False, settings=settings)
    demo_print.command(["segmentation", "segment", COUNTED_SEGMENT])
    await segments.segment(COUNTED_SEGMENT, as_json=False, settings=settings)
    return True


def _folder() -> Path:
    """Absolute, so that `doctor` and `report` in another terminal mean the same one."""
    return Path(REPORT_FOLDER).absolute()


async def _suggest(settings: Settings, *, keep: bool) -> None:
    """What to try next; with `keep` it stays up for that until cancelled."""
    show(Rule())
    if not keep:
        out.print(
            "[bold]Next[/]  `segmentation demo --keep` (or `make demo KEEP=1`) stays up and says how to talk to it."
        )
        out.print("      README.md goes through each use; docs/contract-reference.md has every command and event.")
        return
    out.print("[bold]It stays up until Ctrl-C.[/] In another terminal, in this folder:\n")
    lines = (
        ". .venv/bin/activate",
        f"export {ENV_PREFIX}KAFKA_BOOTSTRAP_SERVERS={settings.kafka_bootstrap_servers}",
        f"export {ENV_PREFIX}DATABASE_URL={settings.database_url.get_secret_value()}",
        f"export {ENV_PREFIX}REPORT_STORAGE={shlex.quote(settings.report_storage)}",
        f"export {ENV_PREFIX}STATE_TOPIC={settings.state_topic}",
        "",
        "segmentation watch --from-beginning",
        """segmentation send membership.change '{"user_id": "grace", "add": ["beta"], "ttl": "PT1H"}' --wait""",
        "segmentation query grace",
        f"curl http://{settings.http_address}/metrics",
    )
    for text in lines:
        out.print(Text("  " + text))


@contextlib.asynccontextmanager
async def _worker(settings: Settings) -> AsyncIterator[Process]:
    """A worker process that is ready, and ends with this one, however this one ends."""
    folder = Path(tempfile.mkdtemp(prefix="segmentation-worker-"))
    try:
        async with guarded() as guard:
            guard.remove_at_end(folder)
            process = await guard.start(
                Command(
                    name="worker",
                    arguments=[sys.executable, "-m", "worker", "run"],
                    log=folder / "worker.log",
                    directory=Path.cwd(),
                    end_signal=signal.SIGTERM,
                    environment=_environment(settings),
                )
            )
            await _ready(settings.http_address, process)
            yield process
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # if the guard was killed, or never started


def _environment(settings: Settings) -> dict[str, str]:
    """The worker's; the shell's own settings are emptied, which counts as not set."""
    return {name: "" for name in os.environ if name.upper().startswith(ENV_PREFIX)} | {
        f"{ENV_PREFIX}KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
        f"{ENV_PREFIX}DATABASE_URL": settings.database_url.get_secret_value(),
        f"{ENV_PREFIX}HTTP_ADDRESS": settings.http_address,
        f"{ENV_PREFIX}REPORT_STORAGE": settings.report_storage,
        f"{ENV_PREFIX}STATE_TOPIC": settings.state_topic,
        f"{ENV_PREFIX}LOG_FORMAT": "json",
        f"{ENV_PREFIX}ENV_FILE": "",
    }


async def _ready(address: str, process: Process) -> None:
    """Wait until /readyz says so; raises ConfigurationError with the worker's log where it does not come to that."""
    ready = asyncio.create_task(_answers(f"http://{address}/readyz"))
    try:
        waited: set[asyncio.Future[Any]] = {ready, process.exit}
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED, timeout=READY_SECONDS_MAX)
        if not ready.done():
            raise ConfigurationError(f"The worker did not start; the end of its log:\n{process.tail()}")
    finally:
        ready.cancel()


async def _answers(url: str) -> None:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
        while True:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with session.get(url) as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(0.05)


def _say(text: str) -> None:
    out.print(Text(f"{text} …", "dim"))
