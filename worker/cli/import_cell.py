"""A cell of a file, judged: a user id, or none and why.

Ids are text. What a spreadsheet has made of a number, such as `1.23E+17`, is refused with its row, not guessed at; what
could as well be an id, such as the hexadecimal `12345e67`, is one.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from pydantic_core import PydanticCustomError

from schemas.values import shown, user_id

TEXT_CHARACTERS_MAX = 1_000
"""So much of a row that is no id is kept to be shown."""
_AS_TEXT = "format the column as text"
_SPREADSHEET = (
    (
        re.compile(r"[+-]?[0-9]+(?:[.,][0-9]+)?E[+-][0-9]+|[+-]?[0-9][.,][0-9]+e[+-][0-9]{2,3}"),
        f"it looks like a number that a spreadsheet has rounded: {_AS_TEXT}",
    ),
    (re.compile(r"[+-]?[0-9]+[.,]0*"), f"it looks like a number that was given decimals: {_AS_TEXT}"),
    (
        re.compile(r"[+-]?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?"),
        f"it looks like a number with thousands separators: {_AS_TEXT}",
    ),
    (
        re.compile(
            r"#(?:REF!|N/A|VALUE!|NAME\?|DIV/0!|NUM!|NULL!|SPILL!|CALC!|FIELD!|NV|BEZUG!|WERT!|ZAHL!|#+)",
        ),
        "it is what a spreadsheet shows in place of a value: mend the cell or widen the column, and save again",
    ),
)
"""What spreadsheets, and tables of floating-point numbers, write in place of an id. The exponent has a sign in all of
them, so that ids of hexadecimal digits are none of them."""
_FIRST = tuple("+-#0123456789")
"""How all of them begin."""


class Row(NamedTuple):
    """A row of the file: a user id, or the text that is none and why."""

    number: int
    text: str
    reason: str | None = None


def judged(number: int, value: object) -> Row:
    """Whether a cell is a user id. Of one that is blank or null the text is empty."""
    text, reason = (value, None) if isinstance(value, str) else _as_text(value)
    text = text.strip()
    reason = reason or spoilt(text)
    if reason is not None:
        return refused(number, text, reason)
    try:
        return Row(number, user_id(text) if text else "")
    except PydanticCustomError as error:
        return refused(number, text, error.message())


def _as_text(value: object) -> tuple[str, str | None]:
    """A value of JSON or Parquet as text, and why it can't be a user id if it can't."""
    text, reason = str(value), None
    match value:
        case None:
            text = ""
        case bool():
            text, reason = text.lower(), "it is true or false; a user id is text or an integer"
        case float():
            reason = "it is a floating-point number, which rounds long ids: write it as text"
        case int() | Decimal() | UUID():
            pass
        case bytes():
            try:
                text = value.decode()
            except UnicodeDecodeError:
                text, reason = value.hex(), "it is binary, and no UTF-8: write it as text"
        case _:
            reason = f"it is {shown(value)}; a user id is text or an integer"
    return text, reason


def refused(number: int, text: str, reason: str) -> Row:
    """A row that is no user id; its text is cut to what a person needs, and can be written as UTF-8."""
    cut = text if len(text) <= TEXT_CHARACTERS_MAX else text[:TEXT_CHARACTERS_MAX] + "…"
    return Row(number, cut.encode(errors="backslashreplace").decode(), reason)


def spoilt(text: str) -> str | None:
    """Why this is no id but what a spreadsheet has made of one; None if it is not."""
    if text.isdecimal() or not text.startswith(_FIRST):
        return None
    return next((reason for form, reason in _SPREADSHEET if form.fullmatch(text)), None)
