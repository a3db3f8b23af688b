"""The table of storages: what the setting SEGMENTATION_REPORT_STORAGE may begin with."""

from __future__ import annotations

from collections.abc import Callable

from worker.reports.directory import Directory
from worker.reports.storage import Storage
from worker.settings import Settings


def _directory(place: str, settings: Settings) -> Storage:
    return Directory(place)


STORAGES: dict[str, Callable[[str, Settings], Storage]] = {"directory": _directory}


def storage_of(settings: Settings) -> Storage:
    """The storage that the settings name; nothing is opened yet."""
    kind, _, place = settings.report_storage.partition(":")
    return STORAGES[kind](place, settings)
