"""The demo: told to its end, it leaves nothing behind; nor does it when it is ended before."""

from __future__ import annotations

import asyncio
import shlex
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psutil
import pytest

from tests.acceptance.shell import Shell, ending, interrupted, line_of

END_SECONDS_MAX = 40.0
DEMO_SECONDS_MAX = 120.0


@pytest.fixture
def folder() -> Iterator[Path]:
    """For temporary files; within reach of PostgreSQL, which may have to be another user."""
    made = Path(tempfile.mkdtemp(prefix="demo-"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made, ignore_errors=True)


async def test_the_story_is_told(folder: Path) -> None:
    shell = Shell({"TMPDIR": str(folder), "SEGMENTATION_TOPIC_PREFIX": "another", "SEGMENTATION_USERS": "wrong"})
    async with ending(await shell.start("demo")) as process, asyncio.timeout(DEMO_SECONDS_MAX):
        out, err = await process.communicate()
    said = out.decode()
    assert (process.returncode, err) == (0, b""), said
    for part in (
        "+discount-30 -beta",
        "segment_not_found",
        "data.month",
        "malformed",
        "forgotten",
        "ada is in no",
        "segmentation segments --sort members",
        "the last 30 days",
        "report published: file:",
        "ada  no value: the user was forgotten",
        'grace  {"user_id":"grace","sequence":',
    ):
        assert part in said
    (link,) = [text.split()[-1] for text in said.splitlines() if text.startswith("  to read  ")]
    assert "</html>" in Path(unquote(urlsplit(link).path)).read_text(encoding="utf-8")
    _hold_empty(folder)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL, signal.SIGHUP])
async def test_ended_in_the_midst(folder: Path, number: signal.Signals) -> None:
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip(
            f"whoever runs the tests ignores {number.name}, as nohup does, and so do the programs that they start"
        )
    async with ending(await Shell({"TMPDIR": str(folder)}).start("demo")) as process:
        while "Users become known" not in await line_of(process.stdout):
            pass
        family = psutil.Process(process.pid).children(recursive=True)
        assert {"java", "postgres"} <= {one.name() for one in family}
        code = await interrupted(process, number)
    assert code == (1 if number in (signal.SIGINT, signal.SIGTERM) else -number)
    await asyncio.to_thread(_await_gone, family)
    _hold_empty(folder)


async def test_a_worker_that_dies_ends_the_story(folder: Path) -> None:
    async with ending(await Shell({"TMPDIR": str(folder)}).start("demo")) as process:
        while "Users become known" not in await line_of(process.stdout):
            pass
        (worker,) = [
            one
            for one in psutil.Process(process.pid).children(recursive=True)
            if one.cmdline()[1:] == ["-m", "worker", "run"]
        ]
        worker.kill()
        async with asyncio.timeout(END_SECONDS_MAX):
            _, err = await process.communicate()
    assert process.returncode == 1
    said = err.decode()
    assert "error: the worker has ended" in said
    assert "worker started" in said
    assert "Traceback" not in said
    _hold_empty(folder)


async def test_kept_up_it_can_be_talked_to(folder: Path) -> None:
    async with ending(await Shell({"TMPDIR": str(folder)}).start("demo", "--keep")) as process:
        exports: dict[str, str] = {}
        while len(exports) < 3:
            word, _, rest = (await line_of(process.stdout)).strip().partition(" ")
            if word == "export":
                name, _, value = rest.partition("=")
                exports[name] = shlex.split(value)[0]
        family = psutil.Process(process.pid).children(recursive=True)
        (worker,) = [one.environ() for one in family if "run" in one.cmdline()]
        assert {name: worker[name] for name in exports} == exports, "the same as the worker's, the reports' folder too"
        shell = Shell(exports)
        said = await shell.good("query", "grace")  # whether also in dark-mode is the lot's, anew each time
        assert [word for word in ("grace is in", "beta", "discount-30") if word not in said] == []
        assert await interrupted(process) == 0
    await asyncio.to_thread(_await_gone, family)
    _hold_empty(folder)


@pytest.mark.slow
async def test_a_worker_that_dies_while_it_is_kept_up(folder: Path) -> None:
    async with ending(await Shell({"TMPDIR": str(folder)}).start("demo", "--keep")) as process:
        while "It stays up until" not in await line_of(process.stdout):
            pass
        family = psutil.Process(process.pid).children(recursive=True)
        (worker,) = [one for one in family if one.cmdline()[1:] == ["-m", "worker", "run"]]
        worker.kill()
        async with asyncio.timeout(END_SECONDS_MAX):
            _, err = await process.communicate()
    assert process.returncode == 1
    assert "error: the worker has ended" in err.decode()
    await asyncio.to_thread(_await_gone, family)
    _hold_empty(folder)


async def test_services_are_exported(folder: Path) -> None:
    async with ending(await Shell({"TMPDIR": str(folder)}).start("services")) as process:
        lines = [await line_of(process.stdout) for _ in range(2)]
        assert [line.partition("=")[0] for line in lines] == [
            "export SEGMENTATION_KAFKA_BOOTSTRAP_SERVERS",
            "export SEGMENTATION_DATABASE_URL",
        ]
        assert await interrupted(process) == 0
    _hold_empty(folder)


def _await_gone(family: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(family, timeout=END_SECONDS_MAX)
    assert alive == []


def _hold_empty(folder: Path) -> None:
    """Nothing is left in it but what Java writes of itself and removes at its next start."""
    assert [rest.name for rest in folder.iterdir() if not rest.name.startswith("hsperfdata_")] == []
