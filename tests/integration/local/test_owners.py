"""However the owner of embedded services ends, nothing of them is left."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.integration.local.owners import END_SECONDS_MAX, ROOT, SERVICES, owner, wait_for
from worker.local.guarded import Guarded
from worker.local.kafka import fetch

LEAKY = """
import asyncio, subprocess, sys
from worker.local.services import embedded

async def main():
    async with embedded() as services:
        subprocess.Popen(["sleep", "100"], close_fds=False)
        if "frozen" in sys.argv:
            services.kafka.pause()
            services.postgres.pause()
        print(f"export A={services.kafka_bootstrap_servers}", flush=True)
        print(f"export B={services.database_url}", flush=True)
        await asyncio.Event().wait()

if "uvloop" in sys.argv:
    import uvloop
    uvloop.run(main())
else:
    asyncio.run(main())
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_to_the_owner(number: signal.Signals) -> None:
    with owner(SERVICES) as one:
        one.process.send_signal(number)
        assert one.process.wait(END_SECONDS_MAX) == (-number if number == signal.SIGKILL else 0)
        one.await_nothing_left()


def test_ctrl_c_reaches_the_owner_alone() -> None:
    with owner(SERVICES) as one:
        groups = {os.getpgid(member.pid) for member in one.family}
        assert os.getpgid(one.process.pid) not in groups
        os.killpg(one.process.pid, signal.SIGINT)
        assert one.process.wait(END_SECONDS_MAX) == 0
        one.await_nothing_left()


@pytest.mark.parametrize("how", ["asyncio", "uvloop", "frozen"])
def test_another_child_keeps_nothing_alive(how: str) -> None:
    with owner([sys.executable, "-c", LEAKY, how]) as one:
        (sleeper,) = [member for member in one.family if member.name() == "sleep"]
        one.process.kill()
        one.family.remove(sleeper)
        try:
            one.await_nothing_left()
            assert sleeper.is_running()
        finally:
            sleeper.kill()


def test_the_guard_is_killed() -> None:
    with owner(SERVICES) as one:
        one.guard.kill()
        _, alive = psutil.wait_procs([one.kafka, one.postgres], timeout=END_SECONDS_MAX)
        assert alive == []
        one.process.send_signal(signal.SIGINT)
        one.process.wait(END_SECONDS_MAX)
        one.await_nothing_left()


def test_owner_and_guard_are_killed() -> None:
    with owner(SERVICES) as one:
        one.process.kill()
        one.guard.kill()
        _, alive = psutil.wait_procs(one.family, timeout=END_SECONDS_MAX)
        assert alive == []
        shutil.rmtree(one.folder, ignore_errors=True)  # nobody was left to do it


def test_a_named_folder_outlives_a_killed_owner(folder: Path) -> None:
    command = [*SERVICES, "--directory", str(folder)]
    with owner(command) as one:
        one.process.kill()
        _, alive = psutil.wait_procs(one.family, timeout=END_SECONDS_MAX)
        assert alive == []
    wait_for(str(folder / "postgres" / "data" / "postmaster.pid"), seen=False)
    with owner(command) as again:
        assert again.exports == one.exports


@pytest.mark.skipif(os.geteuid() != 0, reason="the other tests run as an ordinary user already")
async def test_an_ordinary_user_has_them_too(guard: Guarded, folder: Path) -> None:
    nobody = 65_534
    if not _can_run_python(nobody):
        pytest.skip("the interpreter is in a folder that other users can't enter")
    jars = Path((await fetch(guard, print)).split(os.pathsep)[0]).parent
    shutil.copytree(jars, folder / "cache" / "segmentation" / jars.name)
    temporary = folder / "tmp"
    temporary.mkdir()
    temporary.chmod(0o777)
    environment = {"XDG_CACHE_HOME": str(folder / "cache"), "TMPDIR": str(temporary), "HOME": str(temporary)}
    with owner(SERVICES, user=nobody, **environment) as one:
        assert {member.uids().effective for member in one.family} == {nobody}
        one.process.kill()
        one.await_nothing_left()
    assert list(temporary.iterdir()) == []


def _can_run_python(user: int) -> bool:
    try:
        subprocess.run([sys.executable, "-c", ""], user=user, group=user, extra_groups=[], cwd=ROOT, check=True)
    except (OSError, subprocess.CalledProcessError):
        return False
    return True
