"""From nothing to a running worker, and what an operator resets."""

from __future__ import annotations

import asyncio
import json
import signal
from importlib.metadata import version
from pathlib import Path

from schemas.topics import Topic, topic_name
from tests.acceptance.shell import Shell, ending, interrupted
from tests.support.events import execute
from tests.support.workers import Worker, workers
from worker.kafka.topics import topics_of
from worker.settings import Settings


async def test_each_step_says_what_is_missing(empty: Settings) -> None:
    shell = Shell.of(empty)
    assert "run `segmentation migrate` first" in await shell.bad("run")
    assert (await shell.good("migrate")).splitlines()[0] == "applied 0001"
    assert await shell.good("migrate") == "the database is up to date\n"
    assert "run `segmentation topics`" in await shell.bad("run")
    created = (await shell.good("topics")).splitlines()
    assert [line.split()[0] for line in created] == ["created"] * len(topics_of(empty))
    assert f"created  {topic_name(empty.topic_prefix, Topic.RELAY_POSITIONS)}  1 partition" in created
    assert f"created  {topic_name(empty.topic_prefix, Topic.REPLIES)}  3 partitions" in created
    assert all(line.startswith("was there") for line in (await shell.good("topics")).splitlines())
    async with ending(await shell.start("run")) as worker:
        assert "registered" in await shell.good("send", "user.register", '{"user_id": "ada"}', "--wait")
        assert await interrupted(worker, signal.SIGTERM) == 0


async def test_a_log_of_json_lines_has_no_others(
    settings: Settings, topics: list[str], empty: Settings, tmp_path: Path
) -> None:
    """Not where a worker refuses to start, and "worker started" is there once it has."""
    wrong = Shell.of(settings).having(SEGMENTATION_USERS="all")
    assert _said(await wrong.bad("run")) == [
        "the worker ends: SEGMENTATION_USERS: Input should be 'registered' or 'any'"
    ]
    settings = settings.model_copy(update={"log_level": "info"})
    (said,) = _said(await Shell.of(empty).bad("run"))
    assert "run `segmentation migrate` first" in said
    async with workers(settings, 1, tmp_path) as (worker,):
        await _ready(worker)
        lines = [json.loads(line) for line in worker.log().splitlines()]
        (started,) = [line for line in lines if line["event"] == "worker started"]
        assert started["version"] == version("segmentation")
        assert started["http"] == worker.address
        second = Shell.of(settings).having(SEGMENTATION_HTTP_ADDRESS=worker.address)
        said = "\n".join(_said(await second.bad("run")))
    assert f"the worker ends: SEGMENTATION_HTTP_ADDRESS: {worker.address} can't be listened on" in said
    assert "worker started" not in said


def _said(log: str) -> list[str]:
    """The log's lines, each of which must be JSON."""
    lines = [json.loads(line) for line in log.splitlines()]
    return [f"{line['event']}: {line['error']}" if "error" in line else line["event"] for line in lines]


async def test_the_database_of_another_deployment(settings: Settings, topics: list[str], tmp_path: Path) -> None:
    shell = Shell.of(settings)
    moved = shell.having(SEGMENTATION_GROUP_ID="moved")
    async with workers(settings, 1, tmp_path) as (worker,):
        await _ready(worker)
        assert "run `segmentation reset deployment`" in await moved.bad("run")
        assert "stop all workers first" in await moved.bad("reset", "deployment", "--yes")
        await worker.stop()
    assert f"group_id: {settings.group_id} → moved" in await moved.good("reset", "deployment", "--yes")
    assert "belongs to another deployment" in await shell.bad("run")


async def test_a_position_is_moved_under_a_running_worker(
    settings: Settings, topics: list[str], tmp_path: Path
) -> None:
    shell = Shell.of(settings)
    name = topic_name(settings.topic_prefix, Topic.SEGMENT_COMMANDS)
    async with workers(settings, 1, tmp_path) as (worker,):
        await _ready(worker)
        await shell.good("send", "segment.create", '{"segment": "beta"}', "--wait")
        (moved,) = [
            number
            for number in range(3)
            if "next offset 1 → 0"
            in await shell.good("reset", "positions", f"{name}:{number}", "--to", "earliest", "--yes")
        ]
        assert "updated" in await shell.good("send", "segment.update", '{"segment": "beta", "owner": "x"}', "--wait")
        assert "next offset 2 → 2" in await shell.good(
            "reset", "positions", f"{name}:{moved}", "--to", "latest", "--yes"
        )
        await worker.stop()
    assert "next offset 2 → 1" in await shell.good("reset", "positions", f"{name}:{moved}", "--to", "1", "--yes")
    assert "offsets 0 to 2" in await shell.bad("reset", "positions", f"{name}:{moved}", "--to", "3", "--yes")
    assert "no partition" in await shell.bad("reset", "positions", f"{name}:7", "--to", "latest", "--yes")
    assert "choose" in await shell.bad("reset", "positions", f"{name}s:0", "--to", "latest", "--yes")
    told = json.loads(await shell.good("watch", "--from-beginning", "--type", "segment.created", "--count", "1"))
    assert told["data"]["segment"] == "beta"


async def test_the_relay_goes_on_from_where_a_person_says(
    settings: Settings, topics: list[str], tmp_path: Path
) -> None:
    shell = Shell.of(settings)
    async with workers(settings, 1, tmp_path) as (worker,):
        await _ready(worker)
        await shell.good("send", "user.register", '{"user_id": "ada"}', "--wait")
        for to in ("kafka", "database"):
            assert "stop all workers first" in await shell.bad("reset", "relay", "--to", to, "--yes")
        await worker.stop()
        assert "after sequence 1 → 1" in await shell.good("reset", "relay", "--to", "kafka", "--yes")
        assert "after sequence 1 → 1" in await shell.good("reset", "relay", "--to", "database", "--yes")
        await _ready(worker)
        await shell.good("send", "user.register", '{"user_id": "grace"}', "--wait")
        await worker.stop()
        await execute(settings, "update journal_head set sequence = 4")
        said = await shell.good("reset", "relay", "--to", "4", "--yes")
        assert "The journal's rows 3 to 4 are not published any more" in said
    said = await shell.good("watch", "--from-beginning", "--timeout", "2")
    assert [json.loads(line)["sequence"] for line in said.splitlines()] == ["1", "2"]


async def test_a_reset_asks_and_takes_no_for_an_answer(shell: Shell) -> None:
    said = await shell.bad("reset", "relay", "--to", "kafka", stdin="n\n")
    assert "Events may be skipped, or published again" in said


async def _ready(worker: Worker) -> None:
    async with asyncio.timeout(60):
        await worker.start()
        await worker.ready()
