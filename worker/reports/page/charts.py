"""The page's charts. The only importer of matplotlib, which is heavy: it is imported when a chart is drawn.

Text stays text and takes the page's font; what is drawn depends on the figures alone, not on the machine or the clock.
"""

from __future__ import annotations

import contextlib
import io
import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from worker.reports.page.figures import compact, number, printable, signed
from worker.reports.page.summary import Flow
from worker.reports.page.svg import inline

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, RULE = "#111111", "#222222", "#333333"
ENTERED, EXITED, AHEAD = "#444444", "#555555", "#666666"
CLASSES = {INK: "ink", MUTED: "muted", RULE: "rule", ENTERED: "entered", EXITED: "exited", AHEAD: "ahead"}
"""The colours drawn with only say which class is meant; the page's style sheet has the real ones."""
POINTS_AN_INCH = 72
VALUE_WIDTH = 56
CHARACTER_WIDTH = 7.5
AXIS_UNIT_FROM = 1_000
LABEL_CHARACTERS_MAX = 34
SETTINGS: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so sizes are the same everywhere
    "svg.fonttype": "none",
    "svg.hashsalt": "report",
    "path.simplify": False,
    "text.parse_math": False,
    "axes.unicode_minus": True,
}


@dataclass(frozen=True, slots=True)
class Size:
    """A chart is drawn once for each: text can't be read where a wide one is shrunk to a phone's width."""

    name: str
    width: int
    text: float


WIDE = Size("wide", 900, 12)
NARROW = Size("narrow", 330, 11)
SIZES = (WIDE, NARROW)


@dataclass(frozen=True, slots=True)
class Bar:
    """One place of a chart."""

    label: str
    flow: Flow

    @property
    def hint(self) -> str:
        """What a pointer that rests on it is told."""
        entered, exited, net = number(self.flow.entered), number(self.flow.exited), signed(self.flow.net)
        return f"{printable(self.label)}: {entered} entered, {exited} exited, net {net}"


def days(bars: Sequence[Bar], ahead: int, label: str) -> Sequence[str]:
    """A month day by day, in each size: entered up, exited down, net as a line. The last `ahead` are yet to come."""
    with _settings():
        return [_days(bars, ahead, label, size) for size in SIZES]


def ranking(bars: Sequence[Bar], label: str) -> Sequence[str]:
    """One below the other, in each size: entered to the right, exited to the left."""
    with _settings():
        return [_ranking(bars, label, size) for size in SIZES]


def _days(bars: Sequence[Bar], ahead: int, label: str, size: Size) -> str:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    height = 280 if size is WIDE else 230
    figure, axes = _figure(size, height, left=size.text * 4, right=4, top=10, bottom=size.text * 2)
    places = range(1, len(bars) + 1)
    past = len(bars) - ahead
    for sign, color in ((1, ENTERED), (-1, EXITED)):
        values = [sign * (bar.flow.entered if sign > 0 else bar.flow.exited) for bar in bars]
        for place, drawn in zip(places, axes.bar(places, values, width=0.72, color=color, linewidth=0), strict=True):
            drawn.set_gid(f"hint-{place}")
            drawn.set_visible(bool(values[place - 1]))
    axes.plot(places[:past], [bar.flow.net for bar in bars[:past]], color=INK, linewidth=1.5)
    if ahead:
        axes.axvspan(past + 0.5, len(bars) + 0.5, facecolor=AHEAD, linewidth=0, zorder=0)
    axes.axhline(0, color=MUTED, linewidth=1)
    axes.set_xlim(0.4, len(bars) + 0.6)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: compact(abs(value), AXIS_UNIT_FROM)))
    axes.grid(axis="y", color=RULE, linewidth=1)
    axes.set_axisbelow(True)
    axes.set_xticks(places if size is WIDE else places[::7])
    axes.tick_params(length=0, labelsize=size.text, labelcolor=MUTED, pad=6)
    return _drawn(figure, label, size, {f"hint-{place}": bar.hint for place, bar in zip(places, bars, strict=True)})


def _ranking(bars: Sequence[Bar], label: str, size: Size) -> str:
    is_wide = size is WIDE
    names = [fitting(bar.label) for bar in bars]
    row, gutter = (30, 12 + CHARACTER_WIDTH * max(map(_width, names))) if is_wide else (46, 0)
    figure, axes = _figure(size, row * len(bars), left=gutter, right=0, top=0, bottom=0)
    most_entered, most_exited = (max(getattr(bar.flow, word) for bar in bars) for word in ("entered", "exited"))
    a_pixel = max(most_entered + most_exited, 1) / (size.width - gutter - 2 * VALUE_WIDTH)
    margin = VALUE_WIDTH * a_pixel
    axes.set_xlim(-most_exited - margin, most_entered + margin)
    axes.set_ylim(len(bars) * row, 0)
    thickness, middle = (14, row / 2) if is_wide else (12, row - 12)
    for place, (name, bar) in enumerate(zip(names, bars, strict=True)):
        y = place * row + middle
        for value, color, side in ((bar.flow.entered, ENTERED, 1), (-bar.flow.exited, EXITED, -1)):
            if value:
                axes.barh(y, value, height=thickness, color=color, linewidth=0, gid=f"hint-{place}")
                at, anchor = value + side * 6 * a_pixel, "left" if side > 0 else "right"
                shown = ("+" if value > 0 else "") + compact(value)
                axes.text(at, y, shown, ha=anchor, va="center_baseline", size=size.text, color=MUTED)
        axes.plot([0, 0], [y - row / 2, y + row / 2] if is_wide else [y - 10, y + 10], color=MUTED, linewidth=1)
        x, y = (-most_exited - margin - 12 * a_pixel, y) if is_wide else (-most_exited - margin, y - 18)
        side_of_text = "right" if is_wide else "left"
        axes.text(x, y, name, ha=side_of_text, va="center_baseline", size=size.text, color=INK, gid=f"hint-{place}")
    axes.set_xticks([])
    axes.set_yticks([])
    return _drawn(figure, label, size, {f"hint-{place}": bar.hint for place, bar in enumerate(bars)})


def fitting(label: str) -> str:
    """The label within the room that a chart has: its beginning and its end, for these tell names apart."""
    shown = printable(label)
    room = LABEL_CHARACTERS_MAX if _width(shown) == len(shown) else LABEL_CHARACTERS_MAX // 2
    if len(shown) <= room:
        return shown
    end = room // 3
    return f"{shown[: room - end - 1]}…{shown[-end:]}"


def _width(text: str) -> int:
    """In characters of the usual width."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


@contextlib.contextmanager
def _settings() -> Iterator[None]:
    from matplotlib import style

    with style.context(["default", SETTINGS]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # the reader's fonts count, not ours
        yield


def _figure(size: Size, height: float, *, left: float, right: float, top: float, bottom: float) -> tuple[Figure, Axes]:
    """An empty drawing with margins in pixels."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(size.width / POINTS_AN_INCH, height / POINTS_AN_INCH), dpi=POINTS_AN_INCH)
    figure.patch.set_visible(False)
    inside = (size.width - left - right) / size.width, (height - top - bottom) / height
    return figure, figure.add_axes((left / size.width, bottom / height, *inside), frameon=False)


def _drawn(figure: Figure, label: str, size: Size, hints: dict[str, str]) -> str:
    drawing = io.BytesIO()
    figure.savefig(drawing, format="svg", metadata={"Date": None, "Creator": None})
    return inline(drawing.getvalue(), printable(label), size.name, CLASSES, hints)
