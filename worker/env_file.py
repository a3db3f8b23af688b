"""The file `.env`: settings for a folder, read after the environment, which wins."""

from __future__ import annotations

import os
from pathlib import Path

from dotenv.parser import parse_stream

from worker.errors import ConfigurationError

VARIABLE = "SEGMENTATION_ENV_FILE"
"""Names another file; empty: none is read. Itself it is read from the environment alone."""
DEFAULT = ".env"
ENCODING = "utf-8-sig"
"""Editors on Windows write a byte order mark."""


def env_file() -> Path | None:
    """The file to read settings from, None for none; raises ConfigurationError where it is not as it must be."""
    name = os.environ.get(VARIABLE, DEFAULT)
    path = Path(name)
    if not name or (VARIABLE not in os.environ and not path.is_file()):
        return None
    try:
        with path.open(encoding=ENCODING) as stream:
            wrong = [str(binding.original.line) for binding in parse_stream(stream) if binding.error]
    except OSError as error:
        raise ConfigurationError(f"{name}: can't be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{name}: is not UTF-8 text; it must hold a NAME=value on each line") from None
    if wrong:
        lines = f"{'line' if len(wrong) == 1 else 'lines'} {', '.join(wrong)}"
        raise ConfigurationError(
            f"{name}, {lines}: must be NAME=value, with quotes around values that hold spaces or #"
        )
    return path
