"""Which version this is."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version


def build() -> dict[str, str]:
    """The package's version and Python's."""
    try:
        own = version("segmentation")
    except PackageNotFoundError:
        own = "unknown"  # a checkout that is not installed
    return {"version": own, "python": platform.python_version()}
