"""Kafka's jars by their Maven coordinates: fetched once, kept for the user.

This module is also a script, run under the guard, so that an interrupt ends a fetch that hangs. It builds in a folder
of its own that is renamed when complete: jgo takes a half-built one for whole.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import sys
import tempfile
from pathlib import Path

JARS = "*.jar"


def class_path(folder: Path) -> str:
    """The class path of the jars below the folder; empty where there are none."""
    return os.pathsep.join(sorted(str(jar) for jar in folder.rglob(JARS)))


def main(coordinates: str, folder: Path) -> None:
    """Fetch them into the folder, or wait for another process that does so now."""
    cache = folder.parent
    with (cache / "fetch.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.exists():
            return
        for left in cache.glob("fetching-*"):  # by one that was killed
            shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix="fetching-", dir=cache) as staging:
            _build(coordinates, Path(staging))
            Path(staging, "jars").rename(folder)


def _build(coordinates: str, staging: Path) -> None:
    os.environ["M2_REPO"] = str(staging / "repository")  # a truncated jar in the user's own would be taken for whole
    import jgo  # noqa: PLC0415 - an optional extra, and its repository is read from the environment

    built = Path(jgo.build(coordinates, cache_dir=staging / "environments").path)
    (staging / "jars").mkdir()
    for jar in built.rglob(JARS):
        shutil.copyfile(jar, staging / "jars" / jar.name)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        try:
            main(sys.argv[1], Path(sys.argv[2]))
        except (OSError, RuntimeError, ValueError) as error:
            sys.exit(f"{type(error).__name__}: {error}")
