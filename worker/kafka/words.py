"""What errors of aiokafka and of sockets say, in words for people."""

from __future__ import annotations

import re

CODE = re.compile(r"^\[Error -?\d+\] \w+(: )?|^(\w+Error): ")
UNABLE = "Unable to bootstrap from"


def of(error: BaseException) -> str:
    """Without the client's numbers and class names, where there is more."""
    if isinstance(error, EOFError):
        return "it closes the connection"
    said = str(error)
    if UNABLE in said:
        return "no broker answers, or lets us in; `segmentation doctor` tells why"
    return CODE.sub("", said) or type(error).__name__
