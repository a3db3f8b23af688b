"""Writes what is generated from the models under `docs/`: `python -m schemas.export [--check] [--directory DOCS]`.

The output depends on the models alone, so `--check` can compare: it exits with 1 and names the files that are stale.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from schemas import asyncapi, jsonschemas, reference
from schemas.state import STATE


def _json(document: Any) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def generated() -> dict[str, str]:
    """Every generated file's text by its path under the directory."""
    files = {f"schemas/{name}.json": _json(jsonschemas.json_schema(name)) for name in jsonschemas.SPECS}
    files[f"schemas/{STATE}.json"] = _json(jsonschemas.state_schema())
    return files | {"asyncapi.json": _json(asyncapi.document()), "contract-reference.md": reference.document()}


def stale(directory: Path) -> Iterator[str]:
    """The files under the directory that are missing, differ from the models, or stand for nothing any more."""
    files = generated()
    for name, text in files.items():
        path = directory / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            yield name
    for path in sorted((directory / "schemas").glob("*.json")):
        if (name := f"schemas/{path.name}") not in files:
            yield name


def write(directory: Path) -> None:
    """Writes every file, and removes the schemas that stand for nothing any more."""
    (directory / "schemas").mkdir(parents=True, exist_ok=True)
    files = generated()
    for path in (directory / "schemas").glob("*.json"):
        if f"schemas/{path.name}" not in files:
            path.unlink()
    for name, text in files.items():
        (directory / name).write_text(text, encoding="utf-8", newline="\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m schemas.export", description="Generate docs from the models.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a file is stale")
    parser.add_argument("--directory", type=Path, default=Path("docs"), help="where to (default: docs)")
    options = parser.parse_args(arguments)
    if not options.check:
        write(options.directory)
        return 0
    names = [*stale(options.directory)]
    for name in names:
        sys.stderr.write(f"stale: {options.directory / name}; run python -m schemas.export\n")
    return 1 if names else 0


if __name__ == "__main__":
    sys.exit(main())
