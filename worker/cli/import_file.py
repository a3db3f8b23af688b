"""User ids out of files as people have them: lines, CSV, NDJSON, Parquet; a row at a time, whatever the size.

A row that is no user id is handed on with the reason; nothing of a row is dropped in silence. A file of which can't be
told where its rows are is refused, with the row where that begins.
"""

from __future__ import annotations

import csv
import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, BinaryIO

from schemas.values import USER_ID_CHARACTERS_MAX, shown
from worker.cli.import_cell import Row, judged, refused, spoilt
from worker.cli.import_lines import HEAD_BYTES, LINE_CHARACTERS_MAX, Line, lines
from worker.errors import ConfigurationError

COLUMNS = ("user_id", "userid", "user id", "user", "id", "uid")
"""Names of the column that holds the user ids, in any case; another one is named by --column."""
SEPARATORS = ",;\t"
"""Not `|`, which many ids hold."""
RECORD_LINES_MAX = 1_000
"""A quoted cell may hold line ends; one with more of them than this has lost its closing quote."""
PARQUET_ROWS = 10_000
_PACKED = {
    b"PK\x03\x04": "it is an Excel workbook or another zip archive: save it as CSV",
    b"\x1f\x8b": "it is compressed: unpack it first, as `gunzip -c FILE | segmentation import SEGMENT -`",
}
_SEP = re.compile(r'"?sep=([^\w\s"]|\t)"?\s*', re.IGNORECASE)
"""The first line by which Excel is told the separator."""
_OBJECT = re.compile(r'\{\s*["}]')
_JSON_TEXT = re.compile(r'\{\s*$|\[\s*(?:$|[]{"[]|-?[0-9])')
"""How JSON begins that is not an object a line; ids in braces or brackets begin otherwise."""
_QUOTED = re.compile(r'"((?:[^"]|"")*)"')
_HEADER = re.compile(
    r"(?i:[a-z]+(?:[_.-][a-z]+)*[_.-](?:ids?|key|no|nr|number|name|code|uuid|guid|e?mail)"
    r"|(?:user|customer|client|account|member|person|contact|subscriber|profile|visitor|kunden?|nutzer|benutzer)s?"
    r"(?:ids?|key|no|nr|number|name|code|uuid|guid|e?mail)?|ids|uuid|guid|e-?mail|login|name)|[a-z]+I[dD]s?"
)
"""Words that are rather the header of a column than a user id."""


def rows(file: BinaryIO, name: str, column: str | None, note: Callable[[str], None] = lambda _: None) -> Iterator[Row]:
    """The file's rows, from 1; empty ones are left out. `note` gets what a person should look at.

    Raises ConfigurationError for a form that can't be read.
    """
    head = file.read(HEAD_BYTES)
    if head == b"PAR1" or name.endswith(".parquet"):
        if name == "-":
            raise ConfigurationError("Parquet can't be read from standard input: name the file")
        found = _parquet(name, column)
    else:
        for magic, sentence in _PACKED.items():
            if head.startswith(magic):
                raise ConfigurationError(f"{name}: {sentence}")
        found = _text(lines(file, head), column, note)
    return (row for row in found if row.text)


def _text(found: Iterator[Line], column: str | None, note: Callable[[str], None]) -> Iterator[Row]:
    """The rows of a file of lines, whose form the first one tells."""
    filled = (line for line in found if line.text.strip())
    first = next(filled, None)
    named = _SEP.fullmatch(first.text) if first else None
    if named:
        first = next(filled, None)
    if first is None:
        return
    start, everything = first.text.lstrip(), itertools.chain((first,), found)
    if _OBJECT.match(start):
        yield from _ndjson(everything, column)
        return
    if _JSON_TEXT.match(start):
        raise ConfigurationError(
            f"row {first.number:,} begins a JSON text of several lines or values: write an object a line, "
            "as `jq -c '.[]'` does of an array"
        )
    separators = named[1] if named else SEPARATORS
    separator = _separator(first, separators, column)
    if separator:
        yield from _table(everything, separator, column, note)
    else:
        yield from _list(everything, separators, column, note)


def _separator(first: Line, separators: str, column: str | None) -> str | None:
    """What separates the columns, by the first row; None if there is one column.

    Where it holds several that could, the one that shows a header with the user ids does.
    """
    outside = _QUOTED.sub("", first.text)
    found = [separator for separator in separators if separator in outside]
    if len(found) < 2:
        return found[0] if found else None
    wanted = set(COLUMNS if column is None or column.isdecimal() else (column.strip().lower(),))
    telling = [one for one in found if wanted & {cell.strip(' "').lower() for cell in first.text.split(one)}]
    if len(telling) == 1:
        return telling[0]
    raise ConfigurationError(
        f"row {first.number:,} holds {' and '.join(map(_called, found))}: name the column with the user ids with "
        "--column if this row is the header, or say what separates the columns in a line before it, such as sep=;"
    )


def _called(separator: str) -> str:
    return "tabs" if separator == "\t" else shown(separator)


def _list(found: Iterator[Line], separators: str, column: str | None, note: Callable[[str], None]) -> Iterator[Row]:
    """The rows of one column: a line each, as no id holds a line end."""
    is_first = True
    for line in found:
        text = line.text.strip()
        if not text:
            continue
        quoted = _QUOTED.fullmatch(text)
        cell = quoted[1].replace('""', '"') if quoted else text
        if is_first:
            is_first = False
            _, is_header = _place([cell], column)
            if is_header:
                continue
            _doubt(line.number, cell, note)
        reason = _too_long(line) or (None if quoted else _wrong_in_list(text, separators))
        yield refused(line.number, text, reason) if reason else judged(line.number, cell)


def _wrong_in_list(text: str, separators: str) -> str | None:
    """What is wrong with a line without quotes around it."""
    if text.startswith('"') or text.endswith('"'):
        return "its quotes do not match: they go around the whole id, and those inside are doubled"
    separator = next((separator for separator in separators if separator in text), None)
    if separator is None:
        return None
    return spoilt(text) or (
        f"it holds {_called(separator)}, but the file has one column: put quotes around the id if it belongs to it"
    )


def _table(found: Iterator[Line], separator: str, column: str | None, note: Callable[[str], None]) -> Iterator[Row]:
    """The rows of several columns."""
    width, place = 0, 0
    for line in found:
        reason = _too_long(line)
        cells = line.text.split(separator)
        if '"' in line.text and not reason:
            cells, reason = _record(line, found, separator)
        if not reason and not any(cell.strip() for cell in cells):
            continue
        if not width and not reason:
            width = len(cells)
            place, is_header = _place(cells, column)
            if is_header:
                continue
            _doubt(line.number, cells[place], note)
        if not reason and len(cells) != width:
            reason = f"it has {len(cells):,} {'cell' if len(cells) == 1 else 'cells'}, but the first row has {width:,}"
        yield refused(line.number, line.text.strip(), reason) if reason else judged(line.number, cells[place])


def _record(line: Line, found: Iterator[Line], separator: str) -> tuple[list[str], str | None]:
    """The cells of a row with quotes, which may go on for some lines; or what is wrong with it."""
    try:
        return next(_csv((line.text,), separator)), None
    except csv.Error:
        return _longer_record(line, found, separator)


def _longer_record(line: Line, found: Iterator[Line], separator: str) -> tuple[list[str], str | None]:
    """The same for a row that is no record in one line.

    Where a row of several lines is wrong, nobody can tell which lines belong to it: ConfigurationError.
    """
    is_one_line = True

    def texts() -> Iterator[str]:
        nonlocal is_one_line
        yield line.text + "\n"
        is_one_line = False
        for another in itertools.islice(found, RECORD_LINES_MAX - 1):
            if not another.is_whole:
                return
            yield another.text + "\n"

    try:
        return next(_csv(texts(), separator)), None
    except csv.Error as error:
        if is_one_line and len(line.text) > csv.field_size_limit():
            return [], f"a cell in quotes has more than {csv.field_size_limit():,} characters"
        if is_one_line:
            return [], "text follows a closing quote: quotes go around the whole cell, and those inside are doubled"
        raise ConfigurationError(
            f"row {line.number:,}: a quote begins that is not closed before the next cell or row: "
            "close it, or double it if it belongs to the text; nothing is imported until then"
        ) from error


def _csv(texts: Iterable[str], separator: str) -> Iterator[list[str]]:
    return csv.reader(texts, delimiter=separator, strict=True, skipinitialspace=True)


def _too_long(line: Line) -> str | None:
    return None if line.is_whole else f"the line is longer than {LINE_CHARACTERS_MAX:,} characters"


def _place(cells: Sequence[str], column: str | None) -> tuple[int, bool]:
    """Where the user ids are, by the first row; and whether that is a header."""
    names = [cell.strip().lower() for cell in cells]
    if column is not None:
        if column.strip().lower() in names:
            return names.index(column.strip().lower()), True
        numbers = [str(number) for number in range(1, len(cells) + 1)]
        if column in numbers:
            place = numbers.index(column)
            return place, names[place] in COLUMNS
        raise ConfigurationError(
            f"--column: there is no {shown(column)}; the first row has {_named(cells)}. "
            f"If it is no header, give the column's number, 1 to {len(cells):,}"
        )
    for name in COLUMNS:
        if name in names:
            return names.index(name), True
    if len(cells) == 1:
        return 0, False
    raise ConfigurationError(
        f"the file has {len(cells)} columns, {_named(cells)}: say with --column which one holds the user ids, "
        "by its name in the header, or by its number, from 1, in a file without a header"
    )


def _named(cells: Sequence[str]) -> str:
    return ", ".join(map(shown, cells[:8])) + (" …" if len(cells) > 8 else "")


def _doubt(number: int, cell: str, note: Callable[[str], None]) -> None:
    """Say so if the first user id looks like a header."""
    text = judged(number, cell).text[:USER_ID_CHARACTERS_MAX]
    if _HEADER.fullmatch(text):
        note(f"row {number:,}, {text}, was taken as a user id: if it is a header, say --column {text}")


def _ndjson(found: Iterator[Line], column: str | None) -> Iterator[Row]:
    wanted = (column.lower(),) if column else COLUMNS
    for line in found:
        text = line.text.strip()
        if not text:
            continue
        reason = _too_long(line)
        item: Any = None
        if not reason:
            try:
                item = json.loads(text)
            except (ValueError, RecursionError) as error:
                reason = f"it is no JSON: {error}"
        if isinstance(item, dict):
            fields = {name.lower(): value for name, value in item.items()}
            name = next((name for name in wanted if name in fields), None)
            if name is None:
                reason = f"it has no {' or '.join(wanted)}: another field is named with --column"
            else:
                item = fields[name]
        yield refused(line.number, text, reason) if reason else judged(line.number, item)


def _parquet(name: str, column: str | None) -> Iterator[Row]:
    try:
        from pyarrow import parquet  # noqa: PLC0415 - an extra that most do without
    except ImportError as error:
        raise ConfigurationError("Parquet needs an extra: pip install 'segmentation[parquet]'") from error
    try:
        source = parquet.ParquetFile(name)
        place, _ = _place(source.schema_arrow.names, column)
        wanted = source.schema_arrow.names[place]
        numbers = itertools.count(1)
        for batch in source.iter_batches(batch_size=PARQUET_ROWS, columns=[wanted]):
            yield from map(judged, numbers, batch.column(0).to_pylist())
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{name}: {error}") from error
