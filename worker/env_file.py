"""The file `.env`: settings for a folder, read after the environment, which wins; and what is set by mistake."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable
from pathlib import Path

from dotenv.parser import parse_stream

from worker.errors import ConfigurationError

PREFIX = "SEGMENTATION_"
VARIABLE = "SEGMENTATION_ENV_FILE"
"""Names another file; empty: none is read. Itself it is read from the environment alone."""
DEFAULT = ".env"
ENCODING = "utf-8-sig"
"""Editors on Windows write a byte order mark."""

OTHERS = re.compile(rf"{VARIABLE}|{PREFIX}(TEST_.*|(.*_)?SERVICE_(HOST|PORT)(_.*)?|(.*_)?PORT(_\d+_(TCP|UDP)(_.*)?)?)$")
"""The one that names the file, the tests', and those that Kubernetes makes for a service of a name like ours."""


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


def names(path: Path) -> list[str]:
    """The variables that the file sets."""
    with path.open(encoding=ENCODING) as stream:
        return [binding.key for binding in parse_stream(stream) if binding.key]


def unknown(variables: Iterable[str], settings: Iterable[str]) -> list[str]:
    """A sentence for each variable with our prefix that is no setting, with the one that is probably meant."""
    ours = [name.upper() for name in settings]
    sentences = []
    for name in sorted(variables):
        prefix, short = name[: len(PREFIX)].upper(), name[len(PREFIX) :].upper()
        if prefix != PREFIX or short in ours or OTHERS.match(name):
            continue
        near = difflib.get_close_matches(short, ours, 1)
        meant = f"did you mean {PREFIX}{near[0]}?" if near else "`segmentation settings` lists all that there are"
        sentences.append(f"{name} is no setting and has no effect: {meant}")
    return sentences
