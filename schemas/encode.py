"""From plain columns to an event's bytes. The hot path of the relay: no model is built here."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson

from schemas.envelope import SPECVERSION, qualified
from schemas.events import EVENTS, EventType

_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC
_TYPES = {name: qualified(name) for name in EVENTS}


def _number(value: object) -> int | float:
    """A Decimal, such as a percent, as a JSON number."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    raise TypeError(type(value).__name__)


def encode_data(data: dict[str, Any]) -> bytes:
    """An event's `data` alone, such as to be kept and sent later as an `orjson.Fragment`."""
    return orjson.dumps(data, _number, _OPTIONS)


def encode_event(
    *,
    id: str,  # noqa: A002 - CloudEvents' own names
    source: str,
    type: EventType,  # noqa: A002
    time: datetime,
    subject: str,
    key: str | None,
    sequence: int | None,
    data: dict[str, Any] | orjson.Fragment,
    causationid: str | None,
    causationsource: str | None,
    correlationid: str | None,
    traceparent: str | None,
) -> bytes:
    """A structured-mode CloudEvent in JSON; send it with `schemas.envelope.STRUCTURED_HEADERS`.

    `type` is the event's name, such as `membership.changed`. Times, also those within `data`, are datetimes in UTC and
    come out as RFC 3339 with `Z` and microseconds. Attributes that are None are left out.
    """
    event: dict[str, Any] = {
        "specversion": SPECVERSION,
        "id": id,
        "source": source,
        "type": _TYPES[type],
        "time": time,
        "subject": subject,
        "datacontenttype": "application/json",
    }
    if key is not None:
        event["partitionkey"] = key
    if sequence is not None:
        event["sequence"] = str(sequence)
    if causationid is not None:
        event["causationid"] = causationid
    if causationsource is not None:
        event["causationsource"] = causationsource
    if correlationid is not None:
        event["correlationid"] = correlationid
    if traceparent is not None:
        event["traceparent"] = traceparent
    event["data"] = data
    return orjson.dumps(event, _number, _OPTIONS)
