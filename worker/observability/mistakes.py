"""Exceptions that nobody foresaw: what led to one fails alone, instead of ending every worker that meets it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from worker.errors import Mistaken, WorkerError
from worker.observability.logs import logger

log = logger(__name__)


@contextlib.contextmanager
def contained(what: str, *foreseen: type[Exception]) -> Iterator[None]:
    """Have such an exception logged with its traceback, as `what`, and raised as Mistaken, a fault like those of the
    database's; those foreseen are raised as they are."""
    try:
        yield
    except Exception as error:
        if isinstance(error, (WorkerError, MemoryError, *foreseen)):
            raise
        log.exception(f"{what}, by a mistake in the worker")
        raise Mistaken(f"{type(error).__name__}: {error}") from error
