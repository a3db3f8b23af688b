"""Structured logs: JSON lines for machines, readable lines on a terminal."""

from __future__ import annotations

import logging
import os
import sys

import structlog

from worker.observability.libraries import Reworded
from worker.settings import ENV_PREFIX, Settings


def configure(settings: Settings) -> None:
    """Send structlog's and the libraries' records to standard error, in the form that the settings ask for."""
    console = _is_console(settings.log_format)
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if console else structlog.processors.JSONRenderer()
    )
    level = getattr(logging, settings.log_level.upper())
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info if not console else _unchanged,
                last,
            ],
        )
    )
    handler.addFilter(Reworded(level))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("worker").setLevel(level)
    logging.getLogger("aiokafka").setLevel(logging.ERROR)  # its warnings are steps of a rebalance


def configure_start() -> None:
    """For what is to be said before the settings are read: as far as the environment tells what they will ask for."""
    match os.environ.get(f"{ENV_PREFIX}LOG_FORMAT"):
        case "json" | "console" as named:
            configure(Settings.model_construct(log_format=named))
        case _:
            configure(Settings.model_construct())


def is_json() -> bool:
    """Whether the log that was configured is one of JSON lines."""
    return any(_writes_json(handler.formatter) for handler in logging.getLogger().handlers)


def _writes_json(formatter: logging.Formatter | None) -> bool:
    return isinstance(formatter, structlog.stdlib.ProcessorFormatter) and any(
        isinstance(processor, structlog.processors.JSONRenderer) for processor in formatter.processors
    )


def _is_console(log_format: str) -> bool:
    return log_format == "console" or (log_format == "auto" and sys.stderr.isatty())


def _unchanged(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    return event


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger for one module; pass `__name__`."""
    return structlog.stdlib.get_logger(name)
