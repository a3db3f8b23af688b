"""What errors of aiokafka and of sockets say, in words for people, and what partitions are called."""

from __future__ import annotations

import re
from collections.abc import Collection

CODE = re.compile(r"^\[Error -?\d+\] \w+(: )?|^(\w+Error): ")
UNABLE = "Unable to bootstrap from"
PLACES_NAMED_MAX = 5


def of(error: BaseException) -> str:
    """Without the client's numbers and class names, where there is more."""
    if isinstance(error, EOFError):
        return "it closes the connection"
    said = str(error)
    if UNABLE in said:
        return "no broker answers, or lets us in; `segmentation doctor` tells why"
    return CODE.sub("", said) or type(error).__name__


def named(places: Collection[tuple[str, int]]) -> str:
    """Some of these partitions, each by its topic and number."""
    some = ", ".join(f"{topic}:{partition}" for topic, partition in sorted(places)[:PLACES_NAMED_MAX])
    more = len(places) - PLACES_NAMED_MAX
    return f"{some} and {more} more" if more > 0 else some
