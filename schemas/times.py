"""The contract's times as types: a ttl by the calendar, and instants with a zone, in UTC."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any

import isodate
from pydantic import GetPydanticSchema, PlainValidator, WithJsonSchema
from pydantic_core import CoreSchema, core_schema

from schemas.values import wrong

TTL_YEARS_MAX = 100

TTL_PATTERN = (
    r"^P(?:\d{1,10}Y)?(?:\d{1,10}M)?(?:\d{1,10}W)?(?:\d{1,10}D)?"
    r"(?:T(?:\d{1,10}H)?(?:\d{1,10}M)?(?:\d{1,10}(?:[.,]\d{1,64})?S)?)?$"
).replace(r"\d", "[0-9]")
TIMESTAMP_PATTERN = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,64})?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})$"
)

_TTL = re.compile(TTL_PATTERN[1:-1])
_FINER = re.compile(r"(?<=[.,][0-9]{6})[0-9]+")
_FRACTION = re.compile(r"[0-9][.,][0-9]+[A-RT-Z]")
_TIMESTAMP = re.compile(TIMESTAMP_PATTERN[1:-1])
_REFERENCE = datetime(2000, 1, 1, tzinfo=UTC)
EARLIEST = datetime.min.replace(tzinfo=UTC) + timedelta(microseconds=1)
LATEST = datetime.max.replace(tzinfo=UTC) - timedelta(microseconds=1)
_LIMITS = (EARLIEST.year, LATEST.year)
_FARTHEST = _REFERENCE.replace(year=2000 + TTL_YEARS_MAX)


def finite(instant: datetime) -> datetime:
    """The instant, but for the first and the last one that there are, which asyncpg takes for PostgreSQL's infinities:
    they are moved by a microsecond."""
    return min(max(instant, EARLIEST), LATEST) if instant.year in _LIMITS else instant


def _utc(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text if text[-1] == "Z" else text.upper())
        return finite(instant if instant.tzinfo is UTC else instant.astimezone(UTC))
    except (ValueError, OverflowError):
        raise wrong("a date and time that exists, with a zone (RFC 3339)", text) from None


def timestamp(text: str) -> datetime:
    """RFC 3339 with a zone, as an aware datetime in UTC; digits past the microseconds are cut off.

    Raises ValueError with a sentence.
    """
    if not _TIMESTAMP.fullmatch(text):
        raise wrong("a date and time with a zone (RFC 3339)", text)
    return _utc(text)


def rfc3339(time: datetime) -> str:
    """The instant as text, in UTC, with Z."""
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _timestamp_schema(_source: Any, _handler: Any) -> CoreSchema:
    return core_schema.no_info_after_validator_function(
        _utc, core_schema.str_schema(strict=True, pattern=TIMESTAMP_PATTERN)
    )


Timestamp = Annotated[
    datetime,
    GetPydanticSchema(_timestamp_schema),
    WithJsonSchema({"title": "Timestamp", "type": "string", "format": "date-time", "pattern": TIMESTAMP_PATTERN}),
]

_A_DURATION = "an ISO 8601 duration such as P2M, P1DT12H or PT30S"


@lru_cache(maxsize=4_096)
def duration(text: str) -> "timedelta | isodate.Duration | str":
    """The duration, to the microsecond, or what it must be. Cached, as few different ones are in use."""
    if not _TTL.fullmatch(text) or not any(c.isdigit() for c in text) or text.endswith("T"):
        return _what_is_wrong(text)
    try:
        found = isodate.parse_duration(_FINER.sub("", text))
        end = _REFERENCE + found
    except (ValueError, OverflowError):
        end = None
    if end is None or end > _FARTHEST:
        return f"at most {TTL_YEARS_MAX} years"
    return found if end > _REFERENCE else "longer than nothing, by a microsecond or more"


def _what_is_wrong(text: str) -> str:
    """Why it is no duration that is taken, for those that others take."""
    if text.startswith(("-", "+")):
        return f"{_A_DURATION}, without a sign"
    if _FRACTION.search(text):
        return f"{_A_DURATION}; only its seconds may have a fraction"
    if _TTL.fullmatch(text.upper()):
        return f"{_A_DURATION}, in capitals"
    return _A_DURATION


def ttl(value: object) -> str:
    """The ISO 8601 duration as it stands, checked: calendar-aware, positive, at most TTL_YEARS_MAX years."""
    if not isinstance(value, str):
        raise wrong(_A_DURATION, value)
    if isinstance(found := duration(value), str):
        raise wrong(found, value)
    return value


Ttl = Annotated[
    str,
    PlainValidator(ttl),
    WithJsonSchema(
        {
            "title": "Time to live",
            "description": f"ISO 8601 duration, calendar-aware, positive, at most {TTL_YEARS_MAX} years. Only seconds "
            "may have a fraction, after a point or a comma; what is finer than microseconds is cut off.",
            "examples": ["P2M", "P1DT12H", "PT30S"],
            "type": "string",
            "minLength": 3,
            "pattern": TTL_PATTERN,
            "not": {"pattern": "T$"},
        }
    ),
]


def expiry(ttl: str, time: datetime) -> datetime:
    """`time` + `ttl` by the calendar, in UTC: 31 January + P1M is the last of February.

    Raises ValueError with a sentence if the ttl is none, or ends after the year 9999.
    """
    found = duration(ttl)
    if isinstance(found, str):
        raise wrong(found, ttl)
    try:
        end: datetime = time + found
    except (ValueError, OverflowError):
        raise wrong(f"so short that it ends before the year 10000 when counted from {time.isoformat()}", ttl) from None
    return finite(end)
