"""The table of storages: what the setting SEGMENTATION_REPORT_STORAGE may begin with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from worker.reports.directory import Directory
from worker.reports.storage import Storage
from worker.settings import Settings


def _directory(place: str, settings: Settings) -> Storage:
    return Directory(place)


def _drive(place: str, settings: Settings) -> Storage:
    from worker.reports.drive.storage import Drive  # Google's client takes its memory only where it is used

    assert settings.google_credentials_file  # the settings see to it
    return Drive(
        place,
        Path(settings.google_credentials_file),
        api_endpoint=settings.google_api_endpoint,
        subject=settings.google_subject,
    )


STORAGES: dict[str, Callable[[str, Settings], Storage]] = {"directory": _directory, "drive": _drive}


def storage_of(settings: Settings) -> Storage:
    """The storage that the settings name; nothing is opened yet."""
    kind, _, place = settings.report_storage.partition(":")
    return STORAGES[kind](place, settings)
