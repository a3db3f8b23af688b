"""CloudEvents' Kafka binding: from a record's value and headers to the CloudEvent as a plain dictionary.

The one place where JSON is parsed exactly: fractions become Decimal, so that `12.3400000000000000001` is not taken for
12.34, and NaN, lone surrogates, a byte order mark and deep nesting are refused. Of a name given twice the last counts.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from pydantic_core import from_json

from schemas.envelope import ATTRIBUTE_HEADER_PREFIX, CONTENT_TYPE_HEADER, STRUCTURED, Envelope
from schemas.values import shown

Headers = Sequence[tuple[str, bytes]]

_ATTRIBUTES = frozenset(Envelope.model_fields) - {"data_base64", "datacontenttype"}


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Why a record is no CloudEvent, and the attributes that could be read all the same."""

    message: str
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Headers:
    content_type: str | None
    attributes: dict[str, str]
    is_binary: bool


def _read(headers: Headers) -> _Headers | Unreadable:
    content_type: str | None = None
    attributes: dict[str, str] = {}
    has_attributes = False
    for name, raw in headers:
        lower = name.lower()
        attribute = lower.removeprefix(ATTRIBUTE_HEADER_PREFIX)
        has_attributes = has_attributes or attribute != lower
        if raw is None or not (lower == CONTENT_TYPE_HEADER or (attribute != lower and attribute in _ATTRIBUTES)):
            continue
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            return Unreadable(f"The header {shown(lower)[1:-1]} must be UTF-8 text.", attributes)
        if lower == CONTENT_TYPE_HEADER:
            content_type = text
        else:
            attributes[attribute] = text
    is_structured = content_type is not None and content_type.lower().startswith("application/cloudevents")
    return _Headers(content_type, attributes, has_attributes and not is_structured)


def _integer(digits: str) -> int | Decimal:
    return int(digits) if len(digits) <= 4_000 else Decimal(digits)


def _fraction(digits: str) -> Decimal:
    try:
        return Decimal(digits)
    except InvalidOperation:  # an exponent beyond all bounds
        return Decimal("Infinity")


def parse(value: bytes) -> Any:
    """JSON to Python, exactly. Raises ValueError whose text completes "is not JSON: …"."""
    from_json(value, allow_inf_nan=False)
    return json.loads(value.decode(), parse_int=_integer, parse_float=_fraction)


def _parsed(value: bytes, attributes: Mapping[str, Any]) -> Any | Unreadable:
    if value.startswith(b"\xef\xbb\xbf"):
        return Unreadable("The value starts with a byte order mark; it must be JSON without one.", attributes)
    try:
        return parse(value)
    except ValueError as error:
        return Unreadable(f"The value is not JSON: {likely_cause(value) or error}.", attributes)


def likely_cause(value: bytes) -> str:
    """What has most likely made a text that is not JSON; empty if nothing is known that looks like it."""
    head = value[:8]
    has_zeros = len(head) >= 4 and any(all(head[i::2]) and not any(head[1 - i :: 2]) for i in (0, 1))
    if has_zeros or value.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "it looks like UTF-16, and must be UTF-8"
    if value.startswith(b"\0") and len(value) > 5:
        return (
            f"it starts with a zero byte, as in a Schema Registry's frame (schema id {int.from_bytes(value[1:5])}); "
            "send plain JSON, without a registry's serializer"
        )
    if value.startswith(b"\x1f\x8b"):
        return "it looks like gzip; compression is the Kafka client's, not the value's"
    return ""


_BATCHES = "batches of CloudEvents are not taken, each command must be a record of its own"


def _structured(value: bytes, content_type: str | None) -> dict[str, Any] | Unreadable:
    """The event that is the whole value, whatever the content-type says of it: SDKs and proxies also write others."""
    media_type = (content_type or STRUCTURED).partition(";")[0].strip().lower()
    if media_type.startswith("application/cloudevents-batch"):
        return Unreadable(f"The content-type is {shown(content_type)}: {_BATCHES}.")
    event = _parsed(value, {})
    if isinstance(event, dict) and (media_type == STRUCTURED or "specversion" in event):
        return event
    if media_type != STRUCTURED:
        hint = "" if media_type.startswith("application/cloudevents") else " and there are no ce_ headers"
        return Unreadable(
            f"The content-type is {shown(content_type)}{hint}; it must be {STRUCTURED}, "
            "or ce_ headers must hold the attributes.",
            event if isinstance(event, dict) else {},
        )
    if isinstance(event, list):
        return Unreadable(f"The value is {shown(event)}; it must be a CloudEvent, an object: {_BATCHES}.")
    return (
        event
        if isinstance(event, Unreadable)
        else Unreadable(f"The value is {shown(event)}; it must be a CloudEvent, an object.")
    )


def read(value: bytes | None, headers: Headers) -> dict[str, Any] | Unreadable:
    """The CloudEvent in a record, of either mode, with its attributes beside `data`, not validated."""
    head = _read(headers)
    if isinstance(head, Unreadable):
        return head
    if not value:
        return Unreadable("The value is empty; it must hold a command.", head.attributes)
    if not head.is_binary:
        return _structured(value, head.content_type)
    data = _parsed(value, head.attributes)
    if isinstance(data, Unreadable):
        return data
    return {**head.attributes, "datacontenttype": head.content_type, "data": data}


def header_attributes(headers: Headers) -> Mapping[str, Any]:
    """The attributes that stand in the headers, for a record whose value is not looked at."""
    return _read(headers).attributes


def places_of_nul(node: Any, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The paths of the texts that hold U+0000, which PostgreSQL cannot hold."""
    match node:
        case str() if "\0" in node:
            yield at
        case list():
            for i, item in enumerate(node):
                yield from places_of_nul(item, (*at, i))
        case dict():
            for name, item in node.items():
                if "\0" in name:
                    yield (*at, name)
                yield from places_of_nul(item, (*at, name))
