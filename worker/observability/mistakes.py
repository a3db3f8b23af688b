"""Exceptions that nobody foresaw: what led to one fails alone, instead of ending every worker that meets it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from worker.errors import Mistaken, WorkerError
from worker.observability.logs import logger

log = logger(__name__)


def is_foreseen(error: Exception, *foreseen: type[Exception]) -> bool:
    """Whether an error is one of ours, one of those foreseen, or of no memory: of the state, and not of what led to
    it."""
    return isinstance(error, (WorkerError, MemoryError, *foreseen))


@contextlib.contextmanager
def contained(what: str, *foreseen: type[Exception]) -> Iterator[None]:
    """Have such an exception logged with its traceback, as `what`, and raised as Mistaken, a fault like those of the
    database's; those foreseen are raised as they are."""
    try:
        yield
    except Exception as error:
        if is_foreseen(error, *foreseen):
            raise
        log.exception(f"{what}, by a mistake in the worker")
        raise Mistaken(f"{type(error).__name__}: {error}") from error
