"""Numbers, moments and sizes as the page writes them: English, UTC, independent of the machine's locale."""

from __future__ import annotations

from datetime import UTC, date, datetime

MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
MINUS = "\u2212"
COMPACT_FROM = 10_000
COMPACT_UNITS = ("", "k", "M", "B", "T", "P", "E")
BYTE_UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB", "EB")


def number(value: int) -> str:
    """With thousands separators: 1,234,567."""
    return f"{value:,}".replace("-", MINUS)


def signed(value: int) -> str:
    """The same with a sign, for what is a difference: +1,234."""
    return f"+{value:,}" if value > 0 else number(value)


def compact(value: float, unit_from: int = COMPACT_FROM) -> str:
    """As short as an axis or a bar wants it: 1,234 and 12.3k and 4M; below `unit_from` in full."""
    if abs(value) < unit_from:
        return number(round(value))
    scaled, unit = _scaled(value, COMPACT_UNITS)
    return scaled.replace("-", MINUS) + unit


def size(count: int) -> str:
    """A file's size: 12.3 MB."""
    scaled, unit = _scaled(count, BYTE_UNITS)
    return f"{scaled} {'byte' if count == 1 else unit}"


def plural(count: int, noun: str) -> str:
    """`1 segment`, `12 segments`."""
    return f"{number(count)} {noun}" if count == 1 else f"{number(count)} {noun}s"


def printable(text: str) -> str:
    """Other people's text without what neither HTML nor a drawing can hold, or what would turn the text around it."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def month(year: int, month_number: int) -> str:
    """`March 2026`."""
    return f"{MONTHS[month_number - 1]} {year}"


def day(value: date) -> str:
    """`14 March 2026`."""
    return f"{value.day} {month(value.year, value.month)}"


def moment(value: datetime) -> str:
    """`14 March 2026, 09:30 UTC`."""
    return f"{day(utc(value))}, {utc(value):%H:%M} UTC"


def utc(value: datetime) -> datetime:
    """The same instant in UTC."""
    return value.astimezone(UTC)


def _scaled(value: float, units: tuple[str, ...]) -> tuple[str, str]:
    """Three digits, rounded before the unit is chosen: 999,999 is 1M, not 1000k."""
    scaled, index = float(value), 0
    while abs(round(scaled)) >= 1000 and index < len(units) - 1:
        scaled, index = scaled / 1000, index + 1
    decimals = 1 if abs(scaled) < 99.95 and index else 0
    return f"{scaled:,.{decimals}f}".removesuffix(".0"), units[index]
