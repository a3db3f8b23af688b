"""User ids out of files as people have them: lines, CSV, NDJSON, Parquet; a row at a time, whatever the size.

Ids are text. What a spreadsheet has made of a number, such as `1.23E+17`, is refused with its row, not guessed at.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple

from pydantic_core import PydanticCustomError

from schemas.values import shown, user_id
from worker.errors import ConfigurationError

COLUMNS = ("user_id", "userid", "user id", "user", "id", "uid")
"""Names of the column that holds the user ids, in any case; another one is named by --column."""
SEPARATORS = ",;\t"
"""Not `|`, which many ids hold."""
HEAD_BYTES = 64 * 1024
"""So much of a file is looked at to learn its form, bytes."""
PARQUET_ROWS = 10_000
_ROUNDED = re.compile(r"[+-]?\d+(?:[.,]\d+)?[eE][+-]?\d+")
_DECIMAL = re.compile(r"[+-]?\d+[.,]0+")


class Row(NamedTuple):
    """A row of the file: a user id, or the text that is none and why."""

    number: int
    text: str
    reason: str | None = None


def rows(file: BinaryIO, name: str, column: str | None) -> Iterator[Row]:
    """The file's rows, from 1; empty ones are left out. Raises ConfigurationError for a form that can't be read."""
    head = file.peek(HEAD_BYTES)[:HEAD_BYTES] if isinstance(file, io.BufferedReader) else b""
    if head.startswith(b"PAR1") or name.endswith(".parquet"):
        if name == "-":
            raise ConfigurationError("Parquet can't be read from standard input: name the file")
        cells = _parquet(name, column)
    else:
        text = io.TextIOWrapper(file, encoding=_encoding(head), newline="")
        cells = _cells(text, head.decode(_encoding(head), errors="ignore"), column)
    try:
        for number, cell in cells:
            stripped = cell.strip() if isinstance(cell, str) else cell
            if stripped not in ("", None):
                yield judged(number, stripped)
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"{name}: byte {error.start:,} of a piece of it is no UTF-8; save it as UTF-8 or as UTF-16 with a mark"
        ) from error
    except csv.Error as error:
        raise ConfigurationError(f"{name}: {error}") from error


def judged(number: int, value: object) -> Row:
    """Whether a cell is a user id."""
    text = value if isinstance(value, str) else str(value)
    if isinstance(value, bool | float) or _ROUNDED.fullmatch(text):
        return Row(number, text, "it looks like a number that a spreadsheet has rounded: format the column as text")
    if _DECIMAL.fullmatch(text):
        return Row(number, text, "it looks like a number that was given decimals: format the column as text")
    try:
        return Row(number, user_id(text))
    except PydanticCustomError as error:
        return Row(number, text, error.message())


def _encoding(head: bytes) -> str:
    if head.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if head[1:2] == b"\0":
        return "utf-16-le"
    if head[:1] == b"\0":
        return "utf-16-be"
    return "utf-8"


def _cells(text: io.TextIOWrapper, head: str, column: str | None) -> Iterator[tuple[int, object]]:
    """Each line's number and the cell of the wanted column."""
    first = next((line for line in head.splitlines() if line.strip()), "")
    if first.lstrip().startswith("{"):
        yield from _ndjson(text, column)
        return
    separator = max(SEPARATORS, key=_unquoted(first).count)
    separator = separator if separator in _unquoted(first) else ","
    reader = csv.reader(text, delimiter=separator, strict=True)
    place: int | None = None
    for cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        if place is None:
            place, is_header = _place(cells, column)
            if is_header:
                continue
        yield reader.line_num, cells[place] if place < len(cells) else ""


def _unquoted(line: str) -> str:
    return re.sub(r'"(?:[^"]|"")*"', "", line)


def _place(cells: Sequence[str], column: str | None) -> tuple[int, bool]:
    """Where the user ids are, by the first row; and whether that is a header."""
    names = [cell.strip().lower() for cell in cells]
    if column is not None:
        if column.lower() in names:
            return names.index(column.lower()), True
        named = ", ".join(map(shown, cells))
        raise ConfigurationError(f"--column: there is no {shown(column)}; the first row has {named}")
    for name in COLUMNS:
        if name in names:
            return names.index(name), True
    if len(cells) == 1:
        return 0, False
    raise ConfigurationError(
        f"the file has {len(cells)} columns, {', '.join(map(shown, cells[:8]))}: "
        "say with --column which one holds the user ids"
    )


def _ndjson(text: io.TextIOWrapper, column: str | None) -> Iterator[tuple[int, object]]:
    wanted = (column.lower(),) if column else COLUMNS
    for number, line in enumerate(text, 1):
        if not line.strip():
            continue
        try:
            item: Any = json.loads(line)
        except ValueError as error:
            raise ConfigurationError(f"line {number:,} is no JSON: {error}") from error
        if isinstance(item, dict):
            found = {name.lower(): value for name, value in item.items()}
            name = next((name for name in wanted if name in found), None)
            if name is None:
                raise ConfigurationError(f"line {number:,} has no {' or '.join(wanted)}: name the field with --column")
            item = found[name]
        yield number, item


def _parquet(name: str, column: str | None) -> Iterator[tuple[int, object]]:
    try:
        from pyarrow import parquet  # noqa: PLC0415 - an extra that most do without
    except ImportError as error:
        raise ConfigurationError("Parquet needs an extra: pip install 'segmentation[parquet]'") from error
    try:
        source = parquet.ParquetFile(name)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{name}: {error}") from error
    place, _ = _place(source.schema_arrow.names, column)
    wanted = source.schema_arrow.names[place]
    number = 0
    for batch in source.iter_batches(batch_size=PARQUET_ROWS, columns=[wanted]):
        for value in batch.column(0).to_pylist():
            number += 1
            yield number, value
