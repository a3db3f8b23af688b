"""Tables that never break a word: an id that is cut in two can be neither found nor copied."""

from __future__ import annotations

from collections.abc import Iterator

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

PIPE_COLUMNS = 100_000
"""What reads a pipe has no width."""


def print_whole(console: Console, rendered: RenderableType) -> None:
    """Print a table (or what else has a width): as wide as it is into a pipe, within a terminal's width if its words
    fit, and else a line for each value."""
    if not isinstance(rendered, Table):
        console.print(rendered, soft_wrap=False)
    elif not console.is_terminal:
        Console(file=console.file, width=PIPE_COLUMNS, highlight=False, emoji=False).print(rendered)
    else:
        console.print(fitted(rendered, console), soft_wrap=False, crop=False, overflow="ignore")


def fitted(table: Table, console: Console) -> RenderableType:
    """The table if each of its words has room, and else its values one below the other."""
    cells = [[_plain(cell) for cell in (column.header, *column.cells)] for column in table.columns]
    least = [max((cell_len(word) for cell in column for word in cell.split()), default=1) for column in cells]
    whole = [max(cell_len(line) for cell in column for line in [*cell.splitlines(), ""]) for column in cells]
    natural = Measurement.get(console, console.options.update(max_width=PIPE_COLUMNS), table).maximum
    borders = natural - sum(whole)
    left = console.width - borders - sum(least)
    if left < 0:
        return Text("\n").join(_stacked(table))
    for number in sorted(range(len(cells)), key=lambda number: whole[number] - least[number]):
        more = min(left, whole[number] - least[number])  # a date keeps its time before long texts get more
        table.columns[number].width = least[number] + more
        left -= more
    return table


def _stacked(table: Table) -> Iterator[Text]:
    """Each row as lines of a name and a value; empty ones are left out."""
    if table.title:
        yield Text(_plain(table.title))
    names = [_plain(column.header) for column in table.columns]
    width = max(map(cell_len, names)) + 2
    for row in zip(*(column.cells for column in table.columns), strict=True):
        for name, cell in zip(names, row, strict=True):
            if _plain(cell):
                yield Text.assemble((name.ljust(width), "dim"), cell if isinstance(cell, Text) else _plain(cell))
        yield Text()


def _plain(cell: RenderableType) -> str:
    return cell.plain if isinstance(cell, Text) else str(cell)
