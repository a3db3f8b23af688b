"""A summary on its way to the process that renders it."""

from __future__ import annotations

from pydantic import TypeAdapter

from worker.reports.page.summary import Summary

_SUMMARIES = TypeAdapter(Summary)


def write(summary: Summary) -> bytes:
    """As JSON."""
    return _SUMMARIES.dump_json(summary)


def read(content: bytes) -> Summary:
    """From JSON; raises pydantic's ValidationError, for instance where it was cut off."""
    return _SUMMARIES.validate_json(content)
