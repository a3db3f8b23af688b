"""What libraries log, in our words and at our level: one line an event, and an error only where a person must act."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable
from typing import Any

import structlog

REPEAT_SECONDS_MIN = 30.0
ROUTINE = {
    "Unable connect to": "a broker can't be reached, trying again",
    "Group Coordinator Request failed": "the group's coordinator is not to be found yet, trying again",
    "FindCoordinator Request failed": "a coordinator is not to be found yet, trying again",
    "Heartbeat": "the group does not hear from this worker, joining again",
    "Error sending": "the group's coordinator does not answer, looking for it again",
    "Group coordinator lookup failed": "the group's coordinator is not to be found yet, trying again",
    "Unable to update": "no broker tells about the cluster, trying again",
    "Failed fetch": "a broker hands out no records, trying again",
    "Topic %s not found": "a topic is missing",
    "Error fetching metadata": "a topic has no leader yet, trying again",
    "OffsetCommit failed": "the copy of the positions was not written, trying again",
    "Failed to commit": "the copy of the positions was not written",
    "LeaveGroup request failed": "the group was not told that this worker leaves; it finds out",
}
"""How aiokafka's messages of level error begin that ask for nothing."""
FATAL = "Attempt to join group failed"
FATAL_WORDS = (
    "Kafka: the group does not take this worker: SEGMENTATION_SESSION_SECONDS_MAX must be between the brokers' "
    "group.min.session.timeout.ms and group.max.session.timeout.ms, and the group's other members workers, too"
)


class Reworded(logging.Filter):
    """Lets aiokafka's messages through once in a while, reworded; and APScheduler's, but of what was cancelled."""

    def __init__(self, level: int = logging.INFO, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._level, self._clock = level, clock
        self._last: dict[tuple[str, int], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Seldom by the place in the code that the record came from: with a broker away they repeat all the time."""
        if record.name.startswith("apscheduler"):
            return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))
        if not record.name.startswith("aiokafka"):
            return True
        place = (record.pathname, record.lineno)
        if self._clock() - self._last.get(place, -math.inf) < REPEAT_SECONDS_MIN:
            return False
        self._last[place] = self._clock()
        self._reword(record)
        return record.levelno >= self._level

    @staticmethod
    def _reword(record: logging.LogRecord) -> None:
        words = next((ours for theirs, ours in ROUTINE.items() if str(record.msg).startswith(theirs)), None)
        said = record.getMessage()
        if str(record.msg).startswith(FATAL):
            record.msg = f"{FATAL_WORDS} ({said})"
        elif words is None:
            record.msg = f"Kafka's client: {said}"
        else:
            record.msg = f"Kafka: {words} ({said})"
            record.levelno, record.levelname = logging.INFO, "INFO"
            record.exc_info = None
        record.args = ()


def note_strays(loop: asyncio.AbstractEventLoop, log: structlog.stdlib.BoundLogger) -> None:
    """Have the loop say in one line what nobody waits for: tasks that libraries have left behind, and bugs."""

    def note(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if error is None or _is_weather(error):
            log.debug("a library has left something behind", what=context.get("message"), error=repr(error))
        else:
            log.error("an error that nobody waited for", what=context.get("message"), exc_info=error)

    loop.set_exception_handler(note)


def _is_weather(error: BaseException) -> bool:
    passing = (OSError, EOFError, TimeoutError, asyncio.CancelledError)
    return isinstance(error, passing) or type(error).__module__.startswith("aiokafka")
