"""`python -m benchmarks.streams`: Kafka Streams reads the topic of states of the deployment that the settings name.

It needs a JDK (`java` with a compiler, 17 or newer); Kafka Streams comes from Maven, once.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from worker.local import jars
from worker.local.kafka import KAFKA_VERSION
from worker.settings import load

COORDINATES = f"org.apache.kafka:kafka-streams:{KAFKA_VERSION}+org.slf4j:slf4j-simple:1.7.36"
PROGRAM = Path(__file__).parent / "Memberships.java"


def compiler() -> str | None:
    """The `java` that can start a source file, if there is one."""
    java = shutil.which("java")
    can = java and subprocess.run([java, "--list-modules"], check=False, capture_output=True, text=True).stdout
    return java if can and "jdk.compiler" in can else None


def command(java: str, servers: str, prefix: str) -> list[str]:
    """What starts the program; fetches the jars where they are not there yet."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "segmentation"
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / f"kafka-streams-{KAFKA_VERSION}"
    if not folder.exists():
        sys.stderr.write(f"fetching Kafka Streams {KAFKA_VERSION} (94 MB, once)\n")
        jars.main(COORDINATES, folder)
    options = ["-Xmx256m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
    return [java, *options, "-cp", jars.class_path(folder), str(PROGRAM), servers, prefix]


def main() -> None:
    """Be the program."""
    settings = load()
    java = compiler()
    if java is None:
        sys.exit("There is no `java` with a compiler: install a JDK of version 17 or newer, and have it in PATH")
    arguments = command(java, settings.kafka_bootstrap_servers, settings.topic_prefix)
    os.execv(java, arguments)


if __name__ == "__main__":
    main()
