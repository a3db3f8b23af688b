"""`make up` with a real Docker engine, twice: one image, no volumes without a name, as many workers as before; and
README's lines for it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.readme import blocks
from worker.cli.settings_page import COMPOSE_VARIABLES
from worker.local.server import free_port
from worker.settings import ENV_PREFIX

ROOT = Path(__file__).parents[2]
PROJECT = "segmentation-test"
SECONDS_MAX = 900
IMAGES = ("python:3.13-slim", "postgres:18", "apache/kafka:4.3.1")


def _docker(*words: str) -> str:
    done = subprocess.run(["docker", *words], capture_output=True, text=True, check=True, timeout=SECONDS_MAX)
    return done.stdout.strip()


def _why_not() -> str | None:
    if not shutil.which("docker"):
        return "docker is not installed"
    try:
        _docker("compose", "version")
        for image in IMAGES:
            _docker("image", "inspect", image)
    except (subprocess.SubprocessError, OSError) as error:
        return f"Docker has no engine, no Compose or not the images {', '.join(IMAGES)}: {error}"
    return None


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A Compose project of the test's own, on free ports."""
    if why := _why_not():
        pytest.skip(why)
    first = free_port()
    monkeypatch.setenv("COMPOSE_PROJECT_NAME", PROJECT)
    monkeypatch.setenv("COMPOSE_DISABLE_ENV_FILE", "1")
    monkeypatch.setenv("KAFKA_PORT", str(free_port()))
    monkeypatch.setenv("POSTGRES_PORT", str(free_port()))
    monkeypatch.setenv("HTTP_PORTS", f"{first}-{min(first + 50, 65_535)}")
    monkeypatch.delenv("WORKERS", raising=False)
    yield
    _make("down", "VOLUMES=1")


def _make(*words: str) -> None:
    done = subprocess.run(["make", *words], cwd=ROOT, capture_output=True, text=True, check=False, timeout=SECONDS_MAX)
    assert done.returncode == 0, done.stderr[-4_000:]


def _workers() -> list[str]:
    return _docker("compose", "--project-directory", str(ROOT), "ps", "--format", "{{.Name}}", "worker").splitlines()


def _volumes() -> set[str]:
    return set(_docker("volume", "ls", "--quiet").split())


def _dangling() -> set[str]:
    label = "label=org.opencontainers.image.title=segmentation"
    return set(_docker("image", "ls", "--quiet", "--filter", "dangling=true", "--filter", label).split())


@pytest.mark.slow
@pytest.mark.usefixtures("make")
@pytest.mark.timeout(2 * SECONDS_MAX)
def test_make_up_and_make_up_again() -> None:
    before = _volumes()
    _make("up")
    assert len(_workers()) == 2
    _make("up", "WORKERS=3")
    _make("up")
    assert len(_workers()) == 3
    assert _volumes() - before == {f"{PROJECT}_{name}" for name in ("kafka", "postgres", "reports")}
    assert _dangling() == set()
    container = _workers()[0]
    user = '{"user_id": "ada"}'
    assert "registered" in _docker("exec", container, "segmentation", "send", "user.register", user, "--wait")
    assert "ada is in no segment" in _from_outside("segmentation query ada")


def _from_outside(command: str) -> str:
    """What a command says in a terminal with README's lines for Docker, but for the ports, which are the test's own."""
    lines = "".join(block.text for block in blocks() if block.needs_docker)
    for name, default in (("POSTGRES_PORT", 5432), ("KAFKA_PORT", 9092)):
        assert lines.count(f"localhost:{default}") == 1, lines
        lines = lines.replace(f"localhost:{default}", f"localhost:{os.environ[name]}")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euc", lines + command],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith(ENV_PREFIX)} | {"PATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS_MAX,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_example_of_a_file_env_has_composes_variables() -> None:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    used = dict(re.findall(r"\$\{(\w+):-([^}]*)\}", text))
    named = dict(line.removeprefix("#").split("=", 1) for line in COMPOSE_VARIABLES)
    assert {name: used[name] for name in named} == named
    assert set(used) - named.keys() == {"SEGMENTATION_LOG_LEVEL"}, os.linesep.join(used)
